"""How many items are scored follows from the file's work and the runtime's kernels, never from a time of the moment."""

from pathlib import Path

import numpy as np
import pytest

from edgebook.measure import scoring
from edgebook.measure.scoring import LAYOUTS, layout_of, most_items, subset
from edgebook.measure.session import measure_files
from edgebook.runtimes.base import Artifact
from edgebook.runtimes.export import export


def artifact(runtime, precision="int8-static", **columns):
    return Artifact(Path("x"), runtime, precision, columns)


@pytest.mark.parametrize(
    ("runtime", "precision", "macs", "expected"),
    [
        ("litert", "int8-static", 12_500_000, None),  # resnet8, optimized kernels
        ("tflm", "int8-static", 12_500_000, 250),  # the same in plain loops: about 6 ms
        ("litert", "int16x8", 12_500_000, 250),
        ("vela", "int16x8", 12_500_000, 250),
        ("tflm", "fp32", 30_000, None),
        ("tflm", "fp32", 2_000_000, 1000),
        ("tflm", "fp32", 300_000_000, 100),
        ("onnx", "fp32", 300_000_000, 1000),
        ("torch", "fp32", 300_000_000, None),
        ("packed", "fp32", 300_000_000, None),
    ],
)
def test_slow_kernels_score_fewer_items(runtime, precision, macs, expected):
    assert most_items(artifact(runtime, precision, macs=macs), {}) == expected


def test_a_foreign_file_is_judged_by_what_it_holds(tmp_path):
    assert most_items(artifact("litert", "", macs=None), {"macs": 12_500_000, "format": "int16x8"}) == 250
    (tmp_path / "x.tflite").write_bytes(bytes(2_000_000))
    assert most_items(Artifact(tmp_path / "x.tflite", "tflm", "fp32"), {"macs": None}) == 1000


def test_subsets_are_fixed_and_nested():
    every, many, few = subset(3000, None), subset(3000, 1000), subset(3000, 100)
    assert (len(every), len(many), len(few)) == (3000, 1000, 100)
    assert set(few) < set(many)
    assert np.array_equal(few, subset(3000, 100))
    assert np.array_equal(subset(50, 100), np.arange(50))


def test_a_slow_runtime_scores_that_subset(net, mnist1d, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "ITEMS", ((0.0, 20),))
    file = export(net, mnist1d, tmp_path / "net", runtime="onnx")
    (result,) = measure_files([file], {"test": mnist1d.x_test[:100].numpy()}, seconds=0.05)
    assert len(result.outputs["test"]) == 20
    assert np.array_equal(result.items["test"], subset(100, 20))


@pytest.mark.parametrize(
    ("shape", "item", "layout"),
    [
        ((2, 4, 5), (2, 4, 5), "as given"),
        ((4, 5, 2), (2, 4, 5), "channels last"),
        ((4, 5), (1, 4, 5), "no channel"),
        ((20,), (1, 4, 5), "flat"),
        ((40,), (1, 40), "no channel"),
        ((7,), (7,), "as given"),
        ((40,), (2, 4, 5), None),  # of two channels the order would be a guess
        ((2, 4), (2, 4, 5), None),
        ((4, 5), (2, 4, 5), None),
    ],
)
def test_how_items_reach_a_file_follows_from_the_shapes(shape, item, layout):
    assert layout_of(shape, item) == layout
    if layout:
        x = np.arange(3 * np.prod(item)).reshape(3, *item)
        assert LAYOUTS[layout].of(x).shape == (3, *shape)
        assert np.array_equal(
            LAYOUTS[layout].of(x)[1].ravel(), x[1].ravel() if layout != "channels last" else x[1].transpose(1, 2, 0).ravel()
        )
