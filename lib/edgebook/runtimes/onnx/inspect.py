"""What an ONNX file holds, and what ONNX Runtime runs: the graph that runs is not the graph in the file."""

from __future__ import annotations

import json
import math
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from edgebook.files import scratch
from edgebook.runtimes.onnx.load import zeros_of

EDGES = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
KERNEL = "_kernel_time"
INTEGERS = ("int8", "uint8")


def inspect(path: Path, *, threads: int = 1, seconds: float = 0.1) -> dict[str, Any]:
    """Plain data about one file.

    `n_nodes`, `n_quantize` (quantize and dequantize nodes), `int8_nodes` (share of the other nodes that compute in
    int8), `int8_time` (share of all node time spent there), `quantize_time`, `layers` (the slowest first: name, op,
    int8, us), all of the graph after ONNX Runtime's own optimization; `macs`, `n_params` and `format` of the file.
    """
    return {**from_file(path), **from_profile(node_events(path, threads=threads, seconds=seconds))}


def operators(path: Path) -> list[str]:
    """Names of the operators of a file, of its loops and functions too, each once; none where the `onnx` package is absent."""
    try:
        import onnx
    except ImportError:
        return []
    model, names = onnx.load(path, load_external_data=False), dict[str, None]()
    graphs: list[Any] = [model.graph, *model.functions]
    while graphs:
        for node in graphs.pop().node:
            names[node.op_type] = None
            graphs += [graph for a in node.attribute for graph in ([a.g] if a.HasField("g") else a.graphs)]
    return list(names)


def node_events(path: Path, *, threads: int, seconds: float) -> list[dict]:
    """ONNX Runtime's own profile: one event per node and run, the first runs left out. Times are whole microseconds."""
    import onnxruntime as ort

    with scratch() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        options.enable_profiling, options.profile_file_prefix = True, str(folder / "profile")
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feed = {source.name: zeros_of(path, source) for source in session.get_inputs()}
        end, runs = time.perf_counter() + seconds, 0
        while runs < 10 or (time.perf_counter() < end and runs < 300):
            session.run(None, feed)
            runs += 1
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [event for event in events if event.get("cat") == "Node" and event["name"].endswith(KERNEL)]
    return nodes[len(nodes) // runs * min(5, runs // 2) :]


def from_profile(events: list[dict]) -> dict[str, Any]:
    """The figures of `inspect` about the graph that runs."""
    time_of, nodes = defaultdict(list), {}
    for event in events:
        name = event["name"].removesuffix(KERNEL)
        time_of[name].append(event["dur"])
        nodes[name] = (event["args"]["op_name"], _computes_in_int8(event["args"]))
    mean = {name: _steady_mean(times) for name, times in time_of.items()}
    total = sum(mean.values()) or 1.0
    edges = [name for name in mean if nodes[name][0] in EDGES]
    work = [name for name in mean if name not in edges]
    layers = [
        {"name": n, "op": nodes[n][0], "int8": nodes[n][1], "us": round(mean[n], 2)} for n in sorted(mean, key=mean.__getitem__)
    ]
    return {
        "n_nodes": len(mean),
        "n_quantize": len(edges),
        "int8_nodes": sum(nodes[name][1] for name in work) / max(len(work), 1),
        "int8_time": sum(mean[name] for name in work if nodes[name][1]) / total,
        "quantize_time": sum(mean[name] for name in edges) / total,
        "layers": layers[::-1],
    }


def _steady_mean(times: list[float]) -> float:
    """Mean with interruptions limited to three medians: a median of whole microseconds would be too coarse."""
    most = 3 * sorted(times)[len(times) // 2] + 1
    return sum(min(time, most) for time in times) / len(times)


def _computes_in_int8(arguments: dict) -> bool:
    """Whether a node reads int8 tensors (weights count: DynamicQuantizeMatMul gets float activations)."""
    kinds = {kind for tensor in arguments["input_type_shape"] for kind in tensor}
    return arguments["op_name"] not in EDGES and bool(kinds & set(INTEGERS))


def from_file(path: Path) -> dict[str, Any]:
    """`macs`, `n_params` and `format` of the file as it is; nothing where the `onnx` package is absent (on a board)."""
    try:
        import onnx
    except ImportError:
        return {}
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    shapes = {v.name: _dims(v) for v in (*model.graph.value_info, *model.graph.output, *model.graph.input)}
    weights = {w.name: list(w.dims) for w in model.graph.initializer}
    kinds = {w.name: onnx.TensorProto.DataType.Name(w.data_type).lower() for w in model.graph.initializer}
    alias = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type in ("DequantizeLinear", "Cast") and n.input}
    shapes |= weights
    is_open = any(not d.dim_value for source in model.graph.input for d in source.type.tensor_type.shape.dim[1:])
    macs = None if is_open else sum(_macs(node, shapes, alias) for node in model.graph.node)
    ops = Counter(node.op_type for node in model.graph.node)
    return {"macs": macs, "n_params": _n_params(model, weights, kinds), "format": _format(ops, kinds)}


def _n_params(model, weights: dict[str, list[int]], kinds: dict[str, str]) -> int:
    """Numbers in the weights; scales, zero points and shapes are not weights."""
    first = {name for node in model.graph.node for name in node.input[:1] if node.op_type == "DequantizeLinear"}
    around = {name for node in model.graph.node for name in node.input[1:] if node.op_type in EDGES}
    around |= {name for name in weights if name.endswith(("_scale", "_zero_point"))}
    counted = [n for n in weights if n not in around - first and kinds[n] not in ("int64", "bool", "string")]
    return sum(math.prod(weights[name]) for name in counted)


def _format(ops: Counter, kinds: dict[str, str]) -> str:
    """The name of the number format, one of `vocabulary.PRECISIONS`."""
    if ops["DynamicQuantizeLinear"] or ops["ConvInteger"] or ops["MatMulInteger"]:
        return "int8-dynamic"
    if ops["QuantizeLinear"] or ops["QLinearConv"] or ops["QLinearMatMul"]:
        return "int8-static"
    if ops["MatMulNBits"]:
        return "int4-weight"
    return next((name for name, kind in (("fp16", "float16"), ("bf16", "bfloat16")) if kind in kinds.values()), "fp32")


def _dims(value) -> list[int]:
    """A tensor's shape; sizes that are open count as 1."""
    return [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]


def _macs(node, shapes: dict[str, list[int]], alias: dict[str, str]) -> int:
    """Multiply-accumulates of one node: convolutions, matrix products and recurrent layers; 0 for all others."""
    where = {"QLinearConv": 3, "QLinearMatMul": 3}.get(node.op_type, 1)
    if len(node.input) <= where:
        return 0
    weight = shapes.get(node.input[where]) or shapes.get(alias.get(node.input[where], ""))
    out = shapes.get(node.output[0]) or shapes.get(node.input[0])
    if weight is None or out is None:
        return 0
    if node.op_type in ("Conv", "QLinearConv", "ConvInteger"):
        return math.prod(out) * math.prod(weight[1:])
    if node.op_type in ("Gemm", "MatMul", "QLinearMatMul", "MatMulInteger"):
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        return math.prod(out) * (weight[-1] if transposed else weight[-2] if len(weight) > 1 else weight[0])
    if node.op_type in ("GRU", "LSTM", "RNN"):
        again = shapes.get(node.input[2]) or shapes.get(alias.get(node.input[2], "")) or [0]
        steps = (shapes.get(node.input[0]) or [1])[0]
        return steps * (math.prod(weight) + math.prod(again))
    return 0
