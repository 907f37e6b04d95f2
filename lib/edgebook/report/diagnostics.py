"""Rows -> two small tables behind the big one: what hides in a score, and where a file's time goes."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from edgebook.report import format as fmt
from edgebook.report.aggregate import ok, value
from edgebook.report.columns import columns_of
from edgebook.rows import Row


def quality(rows: list[Row]) -> pd.DataFrame:
    """One line per file: its score, macro-F1 and the worst class (in %), calibration error in points, agreement with the float
    baseline in %, false alarms and misses per hour of a stream, McNemar's exact p against the baseline. Text; a column that
    no row has is left out.
    """
    score = columns_of(ok(rows))[0]
    head = fmt.with_unit(score.head, score.unit)
    shares = {
        "macro-F1, %": "extra.macro_f1",
        "worst class, %": "extra.worst_class_accuracy",
        "calibration error, points": "extra.calibration_error",
        "same predictions as the baseline, %": "agreement",
    }
    columns = {name: (lambda row, key=key: fmt.share(value(row, key))) for name, key in shares.items()}
    rates = {"false alarms per hour": "extra.false_alarms_per_hour", "misses per hour": "extra.misses_per_hour"}
    columns |= {name: (lambda row, key=key: fmt.digits(value(row, key))) for name, key in rates.items()}
    return _table(rows, {head: score.main, **columns, "McNemar p": lambda row: _probability(value(row, "extra.mcnemar_p"))})


def inside(rows: list[Row]) -> pd.DataFrame:
    """One line per file: nodes that run, how many of them only quantize or dequantize, share of the others and of the time
    in int8, the slowest layer, predictions that stay on an x86 without VNNI. Times where the runtime tells them (ONNX).
    """
    shares = {
        "nodes in int8, %": "extra.int8_nodes",
        "time in int8, %": "extra.int8_time",
        "same predictions without VNNI, %": "extra.portability",
    }
    columns = {name: (lambda row, key=key: fmt.share(value(row, key))) for name, key in shares.items()}
    counts = {"nodes": "extra.n_nodes", "(de)quantize": "extra.n_quantize"}
    numbers = {name: (lambda row, key=key: fmt.count(value(row, key))) for name, key in counts.items()}
    return _table(rows, {**numbers, **columns, "slowest layer": _slowest})


def _table(rows: list[Row], columns: dict[str, Callable[[Row], str]]) -> pd.DataFrame:
    identity = {"version": fmt.name, "runtime": lambda row: row["runtime"], "format": lambda row: row["precision"] or ""}
    frame = pd.DataFrame([{head: show(row) for head, show in (identity | columns).items()} for row in ok(rows)])
    return frame.drop(columns=[head for head in columns if head in frame and (frame[head] == fmt.NONE).all()])


def _slowest(row: Row) -> str:
    layers = value(row, "extra.slowest_layers")
    return f"{layers[0]['op']} {fmt.digits(layers[0]['us'])} µs" if layers else fmt.NONE


def _probability(p: float | None) -> str:
    return fmt.NONE if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"
