"""A file whose outputs depend on chance, or whose kernels compute something else than the file, is never scored."""

from __future__ import annotations

import numpy as np
import onnx_files
import pytest
from onnx import helper

from edgebook.boards.worker import Worker
from edgebook.measure import session
from edgebook.runtimes import base
from edgebook.runtimes.base import Artifact

X = {"val": np.ones((6, 3), np.float32), "test": np.zeros((5, 3), np.float32)}


def noisy(path):
    """Its input plus random numbers, inside a branch that is always taken."""
    then = helper.make_graph(
        [helper.make_node("RandomNormalLike", ["x"], ["n"]), helper.make_node("Add", ["x", "n"], ["t"])],
        "then",
        [],
        [helper.make_tensor_value_info("t", 1, None)],
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["e"])], "other", [], [helper.make_tensor_value_info("e", 1, None)]
    )
    nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=then, else_branch=other)]
    return onnx_files.save(path, nodes, (1, 3), weights=[("yes", np.array(True))], outputs=(1, 3))


def measured(path):
    (result,) = session.measure_files([Artifact(path, "onnx", "fp32")], X, seconds=0.01)
    return result


def test_a_file_with_a_random_operator_is_refused_by_its_name(tmp_path):
    result = measured(noisy(tmp_path / "noisy.onnx"))
    assert result.error == "the file contains RandomNormalLike: its outputs are random"
    assert not result.outputs


def test_a_file_that_is_random_in_a_way_that_no_list_knows_is_found_by_asking_twice(tmp_path, monkeypatch):
    ask = Worker.ask

    def blind(self, **command):
        answer = ask(self, **command)
        return answer | {"random": None} if command == {"do": "inspect"} else answer

    monkeypatch.setattr(Worker, "ask", blind)
    result = measured(noisy(tmp_path / "noisy.onnx"))
    assert result.error.startswith("asked twice for the same items, the file gives different outputs")
    assert not result.blocks_p50


@pytest.mark.parametrize("shift", [0.0, 0.02, 8.0])
def test_optimized_kernels_are_compared_with_plain_ones(shift, tmp_path, monkeypatch):
    plain, ask = [], Worker.ask

    def shifted(self, **command):
        answer = ask(self, **command)
        if command.get("do") == "plain":
            plain.append(command)
            outputs = np.load(command["y"])
            np.save(command["y"], outputs + shift * np.random.default_rng(0).standard_normal(outputs.shape).astype(np.float32))
        return answer

    monkeypatch.setattr(Worker, "ask", shifted)
    x = np.random.default_rng(1).standard_normal((40, *onnx_files.SHAPE)).astype(np.float32)
    file = Artifact(onnx_files.linear(tmp_path / "net.onnx"), "onnx", "fp32")
    (result,) = session.measure_files([file], {"test": x}, seconds=0.01)
    assert len(plain) == 1
    spread = np.hypot(np.std(result.outputs["test"], 0).mean(), shift)  # of what the plain kernels give here
    assert result.kernel_error == pytest.approx(shift / spread, rel=0.2, abs=1e-6)
    if shift < 1:
        assert result.error is None
        assert result.blocks_p50
    else:
        assert result.error.startswith("the runtime's optimized kernels compute something else than its plain ones")


def test_plain_kernels_that_are_not_there_or_die_cost_nothing_but_the_comparison(tmp_path, monkeypatch):
    ask = Worker.ask
    ends = iter(["error", "death"])

    def fails(self, **command):
        if command.get("do") == "plain":
            if next(ends) == "error":
                return {"error": "no kernel"}
            self.process.kill()
        return ask(self, **command)

    monkeypatch.setattr(Worker, "ask", fails)
    for reason in ("no kernel", "the process died: killed by SIGKILL; the file is corrupt or its runtime cannot run it"):
        result = measured(onnx_files.linear(tmp_path / "net.onnx", shape=(1, 3), weight=np.eye(3, dtype=np.float32)))
        assert (result.error, result.not_compared) == (None, reason)
        assert result.blocks_p50


def test_every_runtime_that_ships_names_its_random_operators():
    without = [name for name, record in base.RUNTIMES.items() if record.ships and not record.random_operators]
    assert without == [
        "packed",
        "c",
        "vela",
        "vela-u65",
        "vela-u85",
    ]  # rebuilt by PyTorch; C of known layers; compiled from LiteRT files
