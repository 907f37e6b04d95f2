"""Rows -> two small tables behind the big one: what hides in an accuracy, and where a file's time goes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from edgebook.report import format as words
from edgebook.report.aggregate import ok, value

Row = dict[str, Any]


def quality(rows: list[Row]) -> pd.DataFrame:
    """One line a file: accuracy, macro-F1, the worst class (all in %), calibration error in points, agreement with the
    float baseline in %, and McNemar's exact p against it. Text; empty where not known.
    """
    return _table(rows, {
        "accuracy, %": lambda row: words.score(row["score"]),
        "macro-F1, %": lambda row: words.score(value(row, "extra.macro_f1")),
        "worst class, %": lambda row: words.score(value(row, "extra.worst_class_accuracy")),
        "calibration error, points": lambda row: words.score(value(row, "extra.calibration_error")),
        "same answers as the baseline, %": lambda row: words.score(row["agreement"]),
        "McNemar p": lambda row: _probability(value(row, "extra.mcnemar_p")),
    })  # fmt: skip


def inside(rows: list[Row]) -> pd.DataFrame:
    """One line a file: nodes that run, how many of them only quantize or dequantize, share of the others and of the time
    in int8, the slowest layer, answers that stay on an x86 without VNNI. Times where the runtime tells them (ONNX).
    """
    return _table(rows, {
        "nodes": lambda row: _count(value(row, "extra.n_nodes")),
        "(de)quantize": lambda row: _count(value(row, "extra.n_quantize")),
        "nodes in int8, %": lambda row: words.score(value(row, "extra.int8_nodes")),
        "time in int8, %": lambda row: words.score(value(row, "extra.int8_time")),
        "slowest layer": _slowest,
        "stays without VNNI, %": lambda row: words.score(value(row, "extra.portability")),
    })  # fmt: skip


def _table(rows: list[Row], columns: dict[str, Any]) -> pd.DataFrame:
    who = {"version": words.name, "runtime": lambda row: row["runtime"], "format": lambda row: row["precision"] or ""}
    return pd.DataFrame([{head: show(row) for head, show in (who | columns).items()} for row in ok(rows)])


def _slowest(row: Row) -> str:
    layers = value(row, "extra.slowest_layers")
    return f"{layers[0]['op']} {words.digits(layers[0]['us'])} µs" if layers else words.NONE


def _count(number: float | None) -> str:
    return words.NONE if number is None else str(number)


def _probability(p: float | None) -> str:
    return words.NONE if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"
