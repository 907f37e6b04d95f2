"""Effects: pairs of rows that differ in one setting, over items and over trainings."""

from __future__ import annotations

import numpy as np
import pytest
from example_rows import example, wrong

from edgebook.errors import BadInput
from edgebook.metrics import intervals
from edgebook.report import effects, plots

N = 2000
RATES = {"alone": 0.80, "taught": 0.86, "smoothed": 0.80}
FACTORS = {"asked.prune": "unpruned", "asked.teacher": "alone", "asked.numbers": "float"}


def write(folder, rows, right):
    """Samples of every row: which of N items it has right."""
    arrays = {"targets": np.zeros(N, int)}
    for row in rows:
        row["samples"] = "s.npz"
        parts = {"items": np.arange(N), "predictions": np.where(right[row["row_id"]], 0, 1)}
        parts["item_scores"] = right[row["row_id"]]
        arrays |= {f"{row['row_id']}.{name}": array for name, array in parts.items()}
    np.savez(folder / "s.npz", **arrays)


@pytest.fixture
def students(tmp_path):
    """Three ways of training, two seeds each: (folder, rows, row_id -> which items are right)."""
    rng, rows, right = np.random.default_rng(0), [], {}
    for label, rate in RATES.items():
        for seed in (0, 1):
            asked, name = {"training_seed": seed}, f"{label} {seed}"
            row = example(name, score=rate, val=rate, size=1, latency=0.1, family="distill", method=label, asked=asked)
            rows.append(row | {"label": label, "role": "version" if seed == 0 else "control"})
            right[row["row_id"]] = rng.random(N) < rate + 0.02 * seed
    write(tmp_path, rows, right)
    return tmp_path, rows, right


def test_a_gain_is_paired_with_the_control_of_the_same_seed(students):
    folder, rows, right = students
    taught, smoothed = effects.against(folder, rows, control="alone")
    ids = {(row["label"], row["asked"]["training_seed"]): row["row_id"] for row in rows}
    each = [intervals.paired_difference(right[ids["taught", seed]], right[ids["alone", seed]]) for seed in (0, 1)]
    assert taught.delta == pytest.approx(np.mean([delta for delta, _, _ in each]))
    over = intervals.over_seeds([delta for delta, _, _ in each])
    assert taught.lo == pytest.approx(min(over["lo"], np.mean([lo for _, lo, _ in each])))
    assert taught.hi == pytest.approx(max(over["hi"], np.mean([hi for _, _, hi in each])))
    assert (taught.label, taught.on, taught.n_trainings) == ("taught", "alone", 2)
    assert smoothed.label == "smoothed"


def test_one_training_has_the_interval_over_items(students):
    folder, rows, right = students
    first = [row for row in rows if row["asked"]["training_seed"] == 0]
    taught, smoothed = effects.against(folder, first, control="alone")
    expected = intervals.paired_difference(right[first[1]["row_id"]], right[first[0]["row_id"]])
    assert (taught.delta, taught.lo, taught.hi) == expected
    assert (taught.verdict, smoothed.verdict) == ("helps", "cannot tell")
    (backwards, _) = effects.against(folder, first, control="taught")
    assert (backwards.label, backwards.verdict) == ("alone", "hurts")


def test_only_what_has_its_control_is_compared(students):
    folder, rows, _ = students
    assert effects.against(folder, rows, control="absent") == []
    elsewhere = [row if row["label"] == "alone" else row | {"runtime": "litert"} for row in rows]
    assert effects.against(folder, elsewhere, control="alone") == []
    failed = [wrong("alone", "failed", "a reason"), *(row for row in rows if row["label"] != "alone")]
    assert effects.against(folder, failed, control="alone") == []
    (one, _) = effects.against(
        folder, [row for row in rows if row["asked"]["training_seed"] or row["label"] != "alone"], control="alone"
    )
    assert one.n_trainings == 1
    assert "nothing to compare" in effects.table([]).iloc[0, 0]
    assert effects.table([]).iloc[0, 0] in effects.table([]).to_html()  # whole
    with pytest.raises(BadInput, match="no effect to draw"):
        plots.effects([])


@pytest.fixture
def matrix(tmp_path):
    """Every combination of two techniques and two formats; pruning costs 10 points, a teacher gives 6."""
    rng, rows, right = np.random.default_rng(1), [], {}
    draws = rng.random(N)
    for prune in ("unpruned", "pruned"):
        for teacher in ("alone", "taught"):
            for numbers in ("float", "int8"):
                rate = 0.8 - 0.1 * (prune == "pruned") + 0.06 * (teacher == "taught")
                asked = {"prune": prune, "teacher": teacher, "numbers": numbers}
                label = " ".join(asked.values())
                row = example(label, score=rate, val=rate, size=1, latency=0.1, family="combine", method=label, asked=asked)
                rows.append(row)
                right[row["row_id"]] = draws < rate
    write(tmp_path, rows, right)
    return tmp_path, rows


def test_every_pair_of_techniques_is_looked_at_once(matrix):
    folder, rows = matrix
    found = {(each.label, each.on): each for each in effects.combined(folder, rows, FACTORS)}
    assert found.keys() == {
        *(("pruned", on) for on in ("", "taught", "int8")),
        *(("taught", on) for on in ("", "int8")),
        ("int8", ""),
    }
    verdicts = {"pruned": "hurts", "taught": "helps", "int8": "makes no difference"}
    assert {key: each.verdict for key, each in found.items()} == {key: verdicts[key[0]] for key in found}
    assert found["taught", "int8"].delta == pytest.approx(0.06, abs=0.02)
    assert found["pruned", ""].sentence == f"pruned alone: {found['pruned', ''].text} points, hurts."
    assert found["pruned", "taught"].sentence.startswith("pruned on top of taught: −")
    missing = [row for row in rows if row["asked"] != {"prune": "pruned", "teacher": "alone", "numbers": "float"}]
    assert ("pruned", "") not in {(each.label, each.on) for each in effects.combined(folder, missing, FACTORS)}
    assert ("pruned", "taught") in {(each.label, each.on) for each in effects.combined(folder, missing, FACTORS)}


def test_the_order_of_the_cells_changes_no_effect(matrix):
    folder, rows = matrix
    there, back = (effects.combined(folder, some, FACTORS) for some in (rows, rows[::-1]))
    assert {(each.label, each.on): each for each in there} == {(each.label, each.on): each for each in back}


def test_the_table_and_the_figure_show_each_effect_once(matrix):
    folder, rows = matrix
    found = effects.combined(folder, rows, FACTORS)
    frame = effects.table(found)
    assert list(frame.columns) == ["compared with", "difference, points", "verdict", "trainings"]
    assert list(frame["difference, points"]) == [each.text for each in found]
    (axes,) = plots.effects(found).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"{each.label}, on {each.on}" if each.on else each.label for each in found]
    assert axes.get_xlabel() == "difference in test accuracy, points"


def test_a_heat_map_has_a_cell_per_combination(matrix):
    _, rows = matrix
    rows = [row | {"asked": row["asked"] | {"network": f"{row['asked']['prune']} {row['asked']['teacher']}"}} for row in rows]
    figure = plots.heat_map(rows[1:], x="asked.numbers", y="asked.network")
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert len(texts) == 7  # one combination was not measured
    assert texts[0].splitlines()[0] == "80.0"
    assert "–" in texts[0].splitlines()[1]
    assert {label.get_text() for label in axes.get_xticklabels()} == {"float", "int8"}
    twice = [rows[0], rows[0] | {"row_id": "again", "score": rows[0]["score"] + 0.02, "point_id": "other"}]
    (axes,) = plots.heat_map(twice, x="asked.numbers", y="asked.network").axes
    assert axes.texts[0].get_text().startswith("81.0")
