"""ExecuTorch, the successor of PyTorch Mobile: programs for its XNNPACK backend, integers by PT2E quantization."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes import Program, Quant

EXTENSION = ".pte"
LIBRARIES = ("executorch", "torchao", "torch")
PRECISIONS = ("fp32", "fp16", "int8-dynamic", "int8-static")


def convert(model, x, path: Path) -> None:
    """The float program; of a model that was trained quantized (it has `integers`), the integer program that it describes."""
    _lower(model.integers(fold=True) if hasattr(model, "integers") else model, x, path)


def quantize_model(model, path: Path, quant: Quant, items: np.ndarray) -> None:
    """Other numbers, from the model: a .pte cannot be quantized. fp16 is the model in half precision; int8 is PT2E with
    the ranges that the items give (static) or that each call gives (dynamic).
    """
    import torch

    x = torch.from_numpy(items[:1])
    if quant.precision == "fp16":
        _lower(copy.deepcopy(model).half(), x.half(), path)
        return
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    if quant.algorithm != "minmax" or not quant.symmetric:
        raise Unsupported(f"executorch has algorithm minmax with symmetric weights, not {quant.algorithm!r}")
    dynamic = quant.precision == "int8-dynamic"
    config = xnnpack_quantizer.get_symmetric_quantization_config(
        is_per_channel=quant.granularity == "channel", is_dynamic=dynamic
    )
    net = prepare_pt2e(torch.export.export(model, (x,)).module(), xnnpack_quantizer.XNNPACKQuantizer().set_global(config))
    with torch.inference_mode():
        for item in torch.from_numpy(items[:1] if dynamic else items).split(1):
            net(item)
    _lower(convert_pt2e(net), x, path)


def _lower(model, x, path: Path) -> None:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(model, (x,))
    path.write_bytes(to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch().buffer)


def preload() -> None:
    """Import the runtime: the memory that it takes before any file is loaded is not the file's."""
    import executorch.runtime  # noqa: F401


def load(path: Path, *, threads: int = 1) -> Program:
    """The program's `forward`; its thread pool would take every core."""
    import torch
    from executorch.extension.pybindings import _C
    from executorch.runtime import Runtime

    _C._unsafe_reset_threadpool(threads)  # before the program is loaded: it keeps the pool that it finds
    try:
        method = Runtime.get().load_program(str(path)).load_method("forward")
        source = method.metadata.input_tensor_meta(0)
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"{path}: ExecuTorch cannot load it: {str(error).splitlines()[0][:200]}") from error
    shape, half, slot = tuple(source.sizes()), source.dtype() == 5, {}  # 5: half precision in ExecuTorch's list of types

    def put(x: np.ndarray) -> None:
        tensor = torch.from_numpy(np.array(x))
        slot["x"] = [tensor.half() if half else tensor]

    def invoke() -> None:
        slot["y"] = method.execute(slot["x"])[0]

    return Program(put, invoke, lambda: slot["y"].float().numpy(), shape[1:])
