"""Every runtime keeps its record's contract, broken records are refused, load sides import nothing that a board lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from edgebook.runtimes.base import RUNTIMES, Program, Runtime
from edgebook.runtimes.contract import check_sides, registered

MINE = Runtime("onnx", "edgebook.runtimes.onnx", ".onnx", (), ("fp32", "int8-static"), quantizes="file", inspects=True)
BLOCKED = (
    "torch",
    "onnx",
    "onnxscript",
    "pandas",
    "scipy",
    "sklearn",
    "matplotlib",
    "IPython",
    "litert_torch",
    "ai_edge_quantizer",
)
WITH_TORCH = ("torch", "packed", "executorch")  # these run PyTorch's tensors, and PyTorch itself looks for many packages
LOADER = """
import importlib.abc, json, sys
blocked = set({blocked})
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Blocker())
from edgebook.runtimes.base import runtime
side = runtime({name!r}).side("load")
side.preload()
if {path!r}:
    import numpy as np
    from pathlib import Path
    program = side.load(Path({path!r}), threads=1, shape=())
    y = program.predict(np.zeros((2, *program.input_shape), np.float32))
    print(json.dumps(list(y.shape)))
"""


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_side_has_the_functions_of_its_record(name):
    check_sides(RUNTIMES[name])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "tensorrt"}, "no marker"),
        ({"precisions": ("fp32", "int3")}, "no such precision: int3"),
        ({"reference_kernels": ("int3",)}, "no such precision: int3"),
        ({"folder": "edgebook.runtimes.vela"}, "has no inspect.py"),
        ({"parent": "litert"}, "its parent 'litert' is not registered before it"),
        ({"scored_by_source": True}, "needs a parent"),
        ({"quantizes": "nothing"}, "has fp32 only"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        registered(replace(MINE, **changes))


def test_records_that_contradict_each_other_are_refused():
    litert = RUNTIMES["litert"]
    with pytest.raises(ValueError, match="registered twice"):
        registered(MINE, MINE)
    with pytest.raises(ValueError, match="neither quantizes nor finishes"):
        registered(litert, replace(MINE, parent="litert"))


def test_a_side_without_a_promised_function_is_refused():
    with pytest.raises(ValueError, match="has no function finish"):
        check_sides(replace(MINE, finishes=True))
    with pytest.raises(ValueError, match="has no function convert"):
        check_sides(replace(MINE, folder="edgebook.runtimes.tflm", inspects=False))


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_load_side_imports_numpy_and_its_runtime_only(name, files):
    """In a process where the other libraries cannot be imported; with a file where one is at hand."""
    blocked = ("litert_torch", "ai_edge_quantizer") if name in WITH_TORCH else BLOCKED
    paths = {runtime: str(artifact.path) for (runtime, _), artifact in files.items()}
    code = LOADER.format(blocked=blocked, name=name, path=paths.get(name, ""))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-500:]
    if name in paths:
        assert json.loads(run.stdout.splitlines()[-1]) == [2, 10]


def test_the_records_import_no_runtime():
    code = f"import sys, edgebook.measure.bench; print([name for name in {BLOCKED} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("n", [1, 8, 11])
def test_a_program_fills_its_last_call_with_zeros_that_it_drops(n):
    calls = []
    program = Program(calls.append, lambda: None, lambda: calls[-1] * 2, (3,), batch=8)
    x = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    np.testing.assert_array_equal(program.predict(x), 2 * x)
    assert {len(call) for call in calls} == {8}
