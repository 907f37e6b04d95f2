"""Figures draw what the rows say: every row a mark, its own interval, its metric's unit; SVG with real text."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from example_rows import all_wrong, baselines, example, quantized, sweep
from matplotlib.collections import PathCollection

from edgebook import metrics
from edgebook.errors import BadInput
from edgebook.report import plots, theme
from edgebook.report.plots import axes as shared
from edgebook.vocabulary import FAMILIES

LOADS = re.compile(r"""(?:src|href|action|data|poster)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import""")
ACCURACY = metrics.METRICS["accuracy"]


def everything():
    return baselines() + sweep() + quantized() + all_wrong()


def texts(figure):
    """All texts of a figure's legends."""
    legends = [legend for legend in (*figure.legends, *(axes.get_legend() for axes in figure.axes)) if legend]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def points(axes):
    """Every scattered point that is no ring, (n, 2), sorted."""
    dots = [dots for dots in axes.collections if isinstance(dots, PathCollection) and dots.get_sizes()[0] < 100]
    offsets = [np.asarray(group.get_offsets()) for group in dots]
    return np.array(sorted(map(tuple, np.concatenate(offsets).tolist())))


def test_a_sweep_has_a_line_per_series_and_the_baseline_beside():
    figure = plots.sweep(everything())
    (axes,) = figure.axes
    assert list(axes.lines[0].get_xdata()) == [0.25, 0.5, 0.75, 0.9]
    assert axes.lines[0].get_ydata()[0] == pytest.approx(93.62)
    assert texts(figure) == ["l2", "random", "float baseline"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.25", "0.50", "0.75", "0.90"]
    assert figure.get_label() == "Test accuracy against pruning ratio"
    speeds = plots.sweep(everything(), y="latency_ms_p50")
    assert next(name for name in texts(speeds) if "float baseline" in name) == "float baseline, onnx"
    assert "float baseline, torch" not in texts(speeds)  # a reference is no baseline


def test_a_sweep_over_words_keeps_their_order():
    rows = [row | {"asked": {"how": how}} for row, how in zip(sweep()[:3], ("c", "a", "b"), strict=True)]
    (axes,) = plots.sweep(rows, x="asked.how", hue=None).axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["c", "a", "b"]


def test_where_every_point_failed_the_baseline_stands_alone():
    base = example("base", score=0.9, val=0.9, size=1, latency=0.1, family="baseline", method="baseline")
    failed = base | {"family": "prune", "status": "failed", "score": None}
    (axes,) = plots.sweep([base, failed], x="extra.macs_removed", y="score", title="nothing left").axes
    assert [line.get_ydata()[0] for line in axes.lines] == [90.0]
    with pytest.raises(BadInput, match="no row with status ok has score"):
        plots.sweep([failed], x="extra.macs_removed", y="score")
    with pytest.raises(BadInput, match=r"has extra\.macs_remove: nothing to draw"):  # a slip of the pen is no failed point
        plots.sweep([base, failed | {"status": "ok", "score": 0.8}], x="extra.macs_remove", y="score")


def test_the_front_shows_every_row_and_says_what_ships():
    rows = everything()
    figure = plots.front(rows, x="latency_ms_p50", chosen=quantized()[2])
    timed = [row for row in rows if row["latency_ms_p50"] is not None]
    expected = sorted((row["latency_ms_p50"], 100 * row["score"]) for row in timed)
    assert points(figure.axes[0]) == pytest.approx(np.array(expected))
    assert figure.get_label() == "Test accuracy against latency"
    names = texts(figure)
    assert {"baseline", "pruned", "quantized", "control, reference", "front, by validation", "to ship"} <= set(names)
    assert "to ship" not in texts(plots.front(rows))
    drawn = {text.get_text() for text in figure.axes[0].texts}
    assert "prune l2 50% + int8 √" in drawn


def test_controls_are_hollow():
    (axes,) = plots.front([*baselines()[:1], *sweep()]).axes
    hollow = [dots for dots in axes.collections if isinstance(dots, PathCollection) and not len(dots.get_facecolors())]
    assert sum(len(dots.get_offsets()) for dots in hollow) == sum(row["role"] == "control" for row in sweep())


def test_what_lies_far_below_is_counted_not_drawn():
    rows = [*baselines()[:1], *sweep(), *(row | {"score": 0.2, "row_id": f"low{n}"} for n, row in enumerate(sweep()[:2]))]
    (axes,) = plots.front(rows).axes
    assert "2 more below 60.2 %" in [text.get_text() for text in axes.texts]
    assert axes.get_ylim()[0] > 60
    assert not any("more below" in text.get_text() for text in plots.front(baselines()).axes[0].texts)


def test_every_row_has_a_bar_of_its_own():
    timed = [row for row in everything() if row["latency_ms_p50"] is not None]
    axes = plots.bars(everything(), y="latency_ms_p50", x="precision").axes[0]
    heights = sorted(round(patch.get_height(), 6) for patch in axes.patches if patch.get_height())
    assert heights == sorted(round(row["latency_ms_p50"], 6) for row in timed)


def test_an_interval_stands_on_its_bar():
    rows = [row for row in quantized() if row["precision"] == "int8-static"]
    axes = plots.bars(rows, y="latency_ms_p50", x="label").axes[0]
    centres = sorted((round(p.get_x() + p.get_width() / 2, 3), round(p.get_height(), 5)) for p in axes.patches if p.get_height())
    ends = sorted((round(float(x), 3), y0, y1) for c in axes.collections for (x, y0), (_, y1) in [c.get_segments()[0]])
    assert [x for x, _ in centres] == [x for x, _, _ in ends]
    assert all(low <= height <= high for (_, height), (_, low, high) in zip(centres, ends, strict=True))


def test_a_score_is_a_dot_in_the_metrics_unit(monkeypatch):
    rows = quantized()[:2]
    axes = plots.bars(rows, x="label").axes[0]
    assert not axes.patches
    assert axes.get_ylabel() == "test accuracy, %"
    monkeypatch.setitem(metrics.METRICS, "r2", replace(ACCURACY, name="r2", label="R²", scale=1.0, unit="", difference_unit=""))
    r2 = [row | {"metric": "r2"} for row in rows]
    axes = plots.bars(r2, x="label").axes[0]
    assert axes.get_ylabel() == "test R²"
    assert max(y for line in axes.lines for y in line.get_ydata()) < 1
    assert shared.title("delta", rows) == "accuracy − baseline's, points"
    assert shared.title("delta", r2) == "R² − baseline's"
    with pytest.raises(BadInput, match="one figure shows one metric"):
        plots.bars([*rows, *r2], x="label")


def test_a_learning_curve_has_gaps_and_the_metrics_unit():
    history = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "val_score": 0.5}]
    figure = plots.learning_curve(history, ACCURACY)
    left, right = figure.axes
    assert list(left.lines[0].get_ydata()) == [2.0, 1.0]
    assert list(right.lines[0].get_ydata())[-1] == 50.0
    assert right.get_ylabel() == "validation accuracy, %"
    r2 = replace(ACCURACY, label="R²", scale=1.0, unit="")
    assert plots.learning_curve(history, r2).axes[1].get_ylabel() == "validation R²"
    with pytest.raises(BadInput, match="nothing was trained"):
        plots.learning_curve([], ACCURACY)


def test_confusion_is_percent_of_the_true_class_and_square():
    (axes,) = plots.confusion([[3, 1], [0, 5]], ["cat", "dog"]).axes
    assert [text.get_text() for text in axes.texts] == ["75", "25", "", "100"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["cat", "dog"]
    with pytest.raises(BadInput, match="square"):
        plots.confusion([[1, 2, 3]])


@pytest.mark.parametrize("draw", [plots.front, plots.sweep, plots.bars])
def test_nothing_to_draw_is_said(draw):
    with pytest.raises(BadInput, match="nothing to draw"):
        draw(all_wrong())


@pytest.mark.parametrize("draw", [plots.front, plots.sweep, plots.bars])
def test_svg_has_a_title_real_text_and_loads_nothing(draw):
    figure = draw(everything())
    text = theme.svg(figure)
    assert f"<title>{figure.get_label()}</title>" in text
    assert "<text" in text
    assert len(text) < 60_000
    assert not LOADS.search(text)
    assert theme.svg(draw(everything())) == text  # the same rows, the same bytes


def test_families_and_runtimes_look_as_the_vocabulary_says():
    assert theme.family("prune") == FAMILIES["prune"]
    assert theme.family("new one").label == "new one"
    assert theme.marker("litert") == "s"
    assert theme.marker("unheard of") == "o"
    assert len(set(theme.colours(list("abcdefgh")).values())) == 8
    assert FAMILIES["baseline"].colour not in theme.colours(list("abcdefgh")).values()


def test_lines_are_steps_for_each_method_and_seed():
    points = [
        {"method": method, "seed": seed, "evaluations": n, "seconds": 2.0 * n, "hypervolume": n / 4}
        for method in ("random", "nsga2")
        for seed in (0, 1)
        for n in (1, 2, 3)
    ]
    figure = plots.lines(points, ["evaluations", "seconds"], "hypervolume", "method", title="Hypervolume")
    assert [axes.get_xlabel() for axes in figure.axes] == ["evaluations", "seconds"]
    assert [len(axes.lines) for axes in figure.axes] == [4, 4]
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.25, 0.5, 0.75]
    assert len(plots.lines(points, "seconds", "hypervolume", "method", title="Hypervolume").axes) == 1
    with pytest.raises(BadInput, match="no points"):
        plots.lines([], "seconds", "hypervolume", "method", title="Hypervolume")
