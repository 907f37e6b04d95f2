"""Corrupted items and the attack; the whole notebook runs with the preset smoke."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from example_rows import example

from edgebook.errors import BadInput
from edgebook.experiment.notebook import Notebook
from edgebook.experiment.robustness import corrupted_splits, fgsm, one_of_each_family
from edgebook.models import build_model
from edgebook.report.robustness import answer, notes, table
from edgebook.rows import write_rows
from edgebook.tasks.task import spread_items


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return build_model("conv1d", (1, 40), 10, widths=[4, 4, 4]).eval()


def test_an_attack_of_size_0_changes_nothing_and_others_raise_the_loss(net, mnist1d):
    x, y = mnist1d.x_test[:50], mnist1d.y_test[:50]
    assert np.array_equal(fgsm(net, mnist1d, x, y, 0.0), x.numpy())
    attacked = torch.from_numpy(fgsm(net, mnist1d, x, y, 0.1))
    assert (attacked - x).abs().max() == pytest.approx(0.1 * x.std().item(), rel=1e-3)
    assert mnist1d.kind.loss(net(attacked), attacked, y, 0.0) > mnist1d.kind.loss(net(x), x, y, 0.0)


def test_every_split_has_the_same_items(net, mnist1d):
    splits = corrupted_splits(mnist1d, net, ["noise", "fgsm"], n_items=20, seed=0)
    assert list(splits)[:3] == ["clean", "noise 1", "noise 2"]
    assert len(splits) == 11
    assert {x.shape for x in splits.values()} == {(20, 1, 40)}


def test_a_few_items_of_a_sorted_split_hold_every_class(net, mnist1d):
    order = mnist1d.y_test.argsort()
    ordered = replace(mnist1d, x_test=mnist1d.x_test[order], y_test=mnist1d.y_test[order])
    clean = corrupted_splits(ordered, net, [], n_items=50, seed=0)["clean"]
    numbers = spread_items(len(order), 50)
    assert np.array_equal(clean, ordered.x_test[numbers].numpy())
    assert len(set(ordered.y_test[numbers].tolist())) == 10


def scored(delta, around=0.01):
    return {"score": 0.9 + delta, "delta": delta, "delta_lo": delta - around, "delta_hi": delta + around}


@pytest.fixture
def compared():
    """Rows of a baseline, of a file that noise harms more than clean items, and of one that nothing harms more."""
    shared = {"status": "ok", "metric": "accuracy", "runtime": "onnx", "precision": "fp32"}
    plain = {"clean": {"score": 0.9}, "corrupted": {"noise": [{"score": 0.8}, {"score": 0.7}], "blur": [{"score": 0.85}]}}
    harmed = {"noise": [scored(-0.03), scored(-0.06)], "blur": [scored(-0.02)]}
    unharmed = {"noise": [scored(-0.01), scored(-0.03)], "blur": [scored(0.0)]}
    versions = {"baseline": plain, "a": {"clean": scored(-0.02), "corrupted": harmed}}
    versions |= {"b": {"clean": scored(-0.02), "corrupted": unharmed}}
    return [shared | {"label": name, "extra": {"robustness": each}} for name, each in versions.items()]


def test_a_cost_is_named_only_where_it_is_beyond_that_on_clean_items(compared):
    assert notes(compared) == ["a (onnx, fp32) loses more than on clean items under noise from severity 2."]
    text = answer(compared)
    assert "costs more than on clean items under noise (1 of 2 files)" in text
    assert text.endswith("no more than on clean items, as far as can be told, under blur.")
    assert answer(compared[:1]) == "No compressed file could be compared."


def test_the_table_has_every_severity_and_file(compared):
    frame = table(compared)
    assert list(frame.columns) == ["clean", "severity 1", "severity 2"]
    assert [name for name, _ in frame.index] == ["noise"] * 3 + ["blur"] * 3
    assert list(frame.iloc[0]) == ["90.0 %", "80.0 %", "70.0 %"]
    assert frame.iloc[1]["severity 2"] == "−6.0 (−7.0\u00a0to\u00a0−5.0)"  # the interval stays on one line
    assert table([]).empty


def test_files_are_taken_from_the_first_runtime_that_has_some_and_few_bits_apart(tmp_path, mnist1d):
    params = {"task": "mnist1d", "model": "conv1d", "model_shape": {}, "seed": 0}
    nb = Notebook("80_robust", "80_robust--x", tmp_path, params, mnist1d)
    made = [
        ("baseline", "baseline", "litert", "fp32", 400),
        ("version", "quantize", "litert", "int8-static", 100),
        ("version", "quantize", "litert", "int4-static", 60),
        ("version", "quantize", "onnx", "int8-static", 90),
        ("version", "distill", "onnx", "fp32", 50),
        ("control", "distill", "litert", "fp32", 40),
        ("version", "codebook", "c", "int8-static", 10),
    ]
    rows = []
    for number, (role, family, runtime, precision, size) in enumerate(made):
        row = example("x", score=0.9, val=0.9, size=size, latency=None, family=family, method="m", runtime=runtime, role=role)
        changed = {"row_id": str(number), "case": nb.case, "precision": precision, "artifact": "net", "seed": 0, "batch_size": 1}
        rows.append(row | changed)
    write_rows(tmp_path / "rows" / "n.jsonl", rows)
    chosen = [row["row_id"] for row in one_of_each_family(nb, ["litert", "onnx"])]
    assert chosen[0] == "0"
    assert sorted(chosen) == ["0", "1", "2", "4"]
    with pytest.raises(BadInput, match="no float baseline in onnx for mnist1d"):
        one_of_each_family(nb, ["onnx", "litert"])
