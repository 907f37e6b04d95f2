"""Static int8 as we make it, against ONNX Runtime's tool and ai-edge-quantizer with their defaults.

`python benchmarks/tool_defaults.py reports/standard` takes every baseline that a run trained, makes both files from
the same float file and the same calibration items, scores both on all test items, and prints the paired difference.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from edgebook.errors import Unsupported, one_line
from edgebook.metrics.intervals import paired_difference
from edgebook.metrics.verdicts import verdict
from edgebook.paths import store_dir
from edgebook.rows import read_rows
from edgebook.runtimes.base import Quant
from edgebook.runtimes.base import runtime as record_of
from edgebook.runtimes.calibration import calibration_items
from edgebook.runtimes.export import export
from edgebook.runtimes.quiet import quiet
from edgebook.tasks import load_task
from edgebook.tasks.task import Task
from edgebook.training.store import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--items", type=int, default=256, help="calibration items")
    options = parser.parse_args()
    plain = [row for row in read_rows(options.run) if row["family"] == "baseline" and row["checkpoint"]]
    nets = {row["checkpoint"]: (row["task"], row["model"], row["seed"]) for row in plain}
    for checkpoint, (task, model, seed) in nets.items():
        for runtime in ("onnx", "litert"):
            print(f"{task} {model} s{seed} {runtime}: {compare(checkpoint, load_task(task), runtime, options.items)}", flush=True)


def compare(checkpoint: str, task: Task, runtime: str, n_items: int) -> str:
    """Accuracy of both files and the paired difference, ours minus the tool's, as one line."""
    net, quant, record = load(store_dir() / f"{checkpoint}.pt"), Quant(n_calibration=n_items), record_of(runtime)
    with tempfile.TemporaryDirectory() as folder:
        try:
            ours = export(net, task, Path(folder) / "ours", runtime=runtime, quant=quant).path
        except Unsupported as error:
            return str(error)
        floats, theirs = (Path(folder) / f"{name}{record.extension}" for name in ("floats", "theirs"))
        try:
            with quiet():
                record.side("export").convert(net, task.x_train[:1], floats)  # the exported file has lost its names
                DEFAULTS[runtime](floats, theirs, calibration_items(task, quant))
        except Exception as error:  # whatever the tool cannot do
            return f"the tool's defaults fail: {one_line(error)}"
        load_file, y = record.side("load").load, task.y_test.numpy()
        right = [load_file(file).predict(task.x_test.numpy()).argmax(1) == y for file in (ours, theirs)]
    delta, lo, hi = paired_difference(*right)
    shares = f"{100 * right[0].mean():.2f} % against {100 * right[1].mean():.2f} %"
    return f"{shares}, {100 * delta:+.2f} points ({100 * lo:+.2f} to {100 * hi:+.2f}): {verdict(lo, hi)}"


def onnx_default(floats: Path, path: Path, items) -> None:
    """ONNX Runtime's tool as its documentation calls it: preprocessing, then every default."""
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from edgebook.runtimes.onnx.quantize import Reader

    prepared = path.with_name("prepared.onnx")
    quant_pre_process(str(floats), str(prepared))
    quantize_static(str(prepared), str(path), Reader(items))


def litert_default(floats: Path, path: Path, items) -> None:
    """ai-edge-quantizer as its documentation calls it: its static int8 recipe and its own calibration."""
    from ai_edge_quantizer import quantizer, recipe

    work = quantizer.Quantizer(str(floats), recipe.static_wi8_ai8())
    ranges = work.calibrate({"serving_default": [{"args_0": item[None]} for item in items]})
    work.quantize(ranges).export_model(str(path), overwrite=True)


DEFAULTS = {"onnx": onnx_default, "litert": litert_default}

if __name__ == "__main__":
    main()
