"""Samples and pairs: what is compared item by item is what the files were scored on."""

from __future__ import annotations

import numpy as np
import pytest
from example_rows import all_wrong, example

from edgebook.errors import BadInput
from edgebook.metrics.intervals import paired_difference
from edgebook.report import pairs
from edgebook.report.samples import confusion_counts, samples

REMOVED = {"ours": 0.5, "theirs": 0.48, "farther": 0.54}
METHODS = {"ours": "a", "theirs": "b", "farther": "b"}


@pytest.fixture
def compared(tmp_path):
    """A run's folder with samples of three files, their rows, and which items each has right; one scored 300 of 400 items."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 400)
    right = {"ours": rng.random(400) < 0.9, "theirs": rng.random(400) < 0.8, "farther": rng.random(400) < 0.99}
    rows, arrays = [], {"targets": targets}
    for name, correct in right.items():
        row = example(name, score=0.9, val=0.9, size=1, latency=0.1, family="prune", method=METHODS[name])
        rows.append(row | {"samples": "s.npz", "extra": {"macs_removed": REMOVED[name]}})
        items = np.arange(100, 400) if name == "theirs" else np.arange(400)
        predictions = np.where(correct, targets, (targets + 1) % 3)[items]
        parts = {"items": items, "predictions": predictions, "item_scores": correct[items]}
        arrays |= {f"{row['row_id']}.{key}": array for key, array in parts.items()}
    np.savez(tmp_path / "s.npz", **arrays)
    return tmp_path, rows, right


def test_two_methods_are_compared_on_the_items_that_both_scored(compared):
    folder, rows, right = compared
    (pair,) = pairs.differences(folder, rows, ours="a", theirs="b")
    assert pair["theirs"]["label"] == "theirs"
    assert (pair["delta"], pair["lo"], pair["hi"]) == paired_difference(right["ours"][100:], right["theirs"][100:])
    line = pairs.table(folder, rows, ours="a", theirs="b").loc[0]
    assert (line["verdict"], line["macs removed"]) == ("better", "50% and 48%")
    assert line["difference, points"].startswith("+")
    rows[0]["margin"] = 1.0
    assert pairs.differences(folder, rows, ours="a", theirs="b")[0]["verdict"] == "same"


def test_only_the_same_cost_is_compared(compared):
    folder, rows, _ = compared
    assert pairs.differences(folder, rows, ours="a", theirs="absent") == []
    assert "nothing to compare" in pairs.table(folder, rows, ours="a", theirs="absent").iloc[0, 0]
    assert pairs.differences(folder, [rows[0], rows[1] | {"runtime": "litert"}], ours="a", theirs="b") == []
    rows[0]["extra"] = {"macs_removed": 0.7}  # nobody else is so small
    assert pairs.differences(folder, rows, ours="a", theirs="b") == []


def test_confusion_counts_are_of_the_scored_items(compared):
    folder, rows, right = compared
    counts = confusion_counts(folder, rows[1])
    assert counts.shape == (3, 3)
    assert (counts.sum(), np.trace(counts)) == (300, right["theirs"][100:].sum())
    behind = samples(folder, rows[1])
    assert counts[0, 1] == ((behind.targets == 0) & (behind.predictions == 1)).sum() > 0


def test_pixels_count_like_items_and_values_have_no_classes(tmp_path):
    row = example("a", score=0.9, val=0.9, size=1, latency=0.1, family="prune", method="a", samples="s.npz")

    def write(targets, predictions):
        parts = {"items": np.arange(2), "predictions": predictions, "item_scores": np.zeros(2)}
        np.savez(tmp_path / "s.npz", targets=targets, **{f"{row['row_id']}.{key}": array for key, array in parts.items()})

    write(np.array([[[0, 1]], [[1, 1]]]), np.array([[[0, 1]], [[0, 1]]]))
    assert confusion_counts(tmp_path, row).tolist() == [[1, 0], [1, 2]]
    write(np.array([0.1, 0.2]), np.array([0.1, 0.3]))
    with pytest.raises(BadInput, match="no classes"):
        confusion_counts(tmp_path, row)


def test_missing_samples_are_one_line(compared):
    folder, rows, _ = compared
    with pytest.raises(BadInput, match="has no samples: RuntimeError"):
        samples(folder, all_wrong()[0])
    with pytest.raises(BadInput, match="no samples of row"):
        samples(folder, rows[0] | {"samples": "gone.npz"})
    with pytest.raises(BadInput, match="no samples of row other"):
        samples(folder, rows[0] | {"row_id": "other"})
    (folder / "s.npz").write_bytes(b"no archive")
    with pytest.raises(BadInput, match="no samples of row"):
        samples(folder, rows[0])
