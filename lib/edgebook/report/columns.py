"""The columns of a table: how each figure of a row is shown, with its interval and its verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgebook.report import format as fmt
from edgebook.report.aggregate import is_own_baseline, value
from edgebook.report.rare_classes import has_uneven_classes
from edgebook.rows import Row
from edgebook.vocabulary import UNSUPPORTED

REFERENCES = {"extra.vs_torch": "torch eager", "extra.vs_onnx": "onnx fp32"}
CLASSES = {"extra.macro_f1": "macro-F1", "extra.worst_class_accuracy": "worst class"}
EVENTS = {"extra.false_alarms_per_hour": "false alarms", "extra.misses_per_hour": "misses"}
COMPARED = ("delta", "compression_ratio", "speedup")  # a baseline is not compared with itself


@dataclass(frozen=True)
class Column:
    """One figure: its head and unit, its main text, the interval under it, the column of its verdict, what it sorts by."""

    head: str
    unit: str
    main: Callable[[Row], str]
    key: str
    around: Callable[[Row], str] = lambda row: ""
    verdict: str = ""

    def applies(self, row: Row) -> bool:
        """Whether a row can have this figure."""
        return row["status"] == "ok" and not (self.key in COMPARED and is_own_baseline(row))


def columns_of(rows: list[Row]) -> list[Column]:
    """The columns of the short table of these rows; the score's head and unit follow their metric."""
    metrics = [fmt.metric(name) for name in dict.fromkeys(row["metric"] for row in rows if row["metric"])]
    label, unit, points = "score", "", ""
    if len(metrics) == 1:
        label, unit, points = metrics[0].label, metrics[0].unit, metrics[0].difference_unit
    whole = max((n for row in rows for n in (value(row, "extra.n_test_split"), row["n_test"]) if n), default=0)
    return [
        Column(label, unit, lambda row: fmt.score(row["score"], row["metric"]), "score", lambda row: _score_around(row, whole)),
        Column(
            "difference",
            points,
            lambda row: fmt.difference(row["delta"], row["metric"]),
            "delta",
            fmt.difference_interval,
            "verdict",
        ),
        *_class_columns(rows),
        *_event_columns(rows),
        Column("size", "kB", lambda row: fmt.kilobytes(row["size_bytes"]), "size_bytes"),
        Column("smaller", "×", lambda row: fmt.times(row["compression_ratio"]), "compression_ratio"),
        Column(
            "latency",
            "ms",
            _latency,
            "latency_ms_p50",
            lambda row: fmt.interval(row["latency_lo"], row["latency_hi"], fmt.digits),
        ),
        Column(
            "speed-up",
            "×",
            lambda row: fmt.speed(row["speedup"]),
            "speedup",
            lambda row: fmt.interval(row["speedup_lo"], row["speedup_hi"], fmt.speed),
            "speed_verdict",
        ),
        *_ratio_columns(rows),
    ]


def _score_around(row: Row, whole: int) -> str:
    """The interval, or the spread over seeds; with the number of items where it was not the whole test split."""
    deviation = value(row, "extra.score_sd")
    around = fmt.score_interval(row)
    if deviation is not None:
        around = f"± {fmt.spread(deviation, row['metric'])}, n = {row['extra']['n_seeds']}"
    part = row["n_test"] and row["n_test"] < whole
    return f"{around} on {fmt.count(row['n_test'])} of {fmt.count(whole)} items".strip() if part else around


def _class_columns(rows: list[Row]) -> list[Column]:
    """macro-F1 and the worst class, where the classes are uneven: there a score can hide that a rare one is lost."""
    if not any(has_uneven_classes(row) for row in rows):
        return []
    return [Column(head, "%", lambda row, key=key: fmt.share(value(row, key)), key) for key, head in CLASSES.items()]


def _event_columns(rows: list[Row]) -> list[Column]:
    """False alarms per hour of background and misses per hour of events, where the items are windows of a stream."""
    return [
        Column(
            head, "per hour", lambda row, key=key: fmt.digits(value(row, key)), key, lambda row, key=key: _rate_around(row, key)
        )
        for key, head in EVENTS.items()
        if any(value(row, key) is not None for row in rows)
    ]


def _rate_around(row: Row, key: str) -> str:
    return fmt.interval(value(row, f"{key}_lo"), value(row, f"{key}_hi"), fmt.digits)


def _ratio_columns(rows: list[Row]) -> list[Column]:
    """Speed-ups against the references that were timed in the same session."""
    return [
        Column(f"vs {head}", "×", lambda row, key=key: fmt.speed(value(row, key)), key)
        for key, head in REFERENCES.items()
        if any(value(row, key) is not None for row in rows)
    ]


def _latency(row: Row) -> str:
    if row["latency_ms_p50"] is None and row["latency_ms_est"] is not None:
        return f"{fmt.digits(row['latency_ms_est'])} est."
    return fmt.digits(row["latency_ms_p50"])


def feeding(row: Row) -> list[str]:
    """What has to be known beside a score: which output was scored, and how the items reached the file."""
    lines, preprocess = [], value(row, "extra.preprocess")
    if not_scored := value(row, "extra.not_scored"):
        lines.append(f"not scored: {not_scored}")
    if outputs_are := value(row, "extra.outputs_are"):
        lines.append(f"its outputs are {outputs_are}")
    if output := value(row, "extra.output"):
        lines.append(f"output {output} was scored")
    if layout := value(row, "extra.layout"):
        lines.append(layout)
    if preprocess:
        lines.append(f"the JSON beside it changes the items: times {preprocess['scale']:g}, plus {preprocess['offset']:g}")
    if clipped := value(row, "extra.clipped_inputs"):
        lines.append(f"its integer input cannot hold {fmt.share(clipped)} % of the items' values")
    return lines


def why_not(row: Row, rows: list[Row]) -> str:
    """Why a row has no figures, and for an unsupported one which other runtimes take the same point in the same format."""
    if row["status"] != "unsupported":
        return fmt.reason(row)
    code = value(row, "extra.unsupported")
    text = fmt.reason(row) if row["error"] or code not in UNSUPPORTED else f"{fmt.reason(row)}: {UNSUPPORTED[code]}"
    return f"{text}; {others_text(row, rows)}"


def others_text(row: Row, rows: list[Row]) -> str:
    """`litert, tflm can`: the runtimes in which the same point has a file of the same number format."""
    same = [other for other in rows if other["status"] == "ok" and other["point_id"] == row["point_id"] is not None]
    runtimes = dict.fromkeys(str(other["runtime"]) for other in same if other["precision"] == row["precision"])
    return f"{', '.join(runtimes)} can" if runtimes else "no other runtime of this run can"
