"""The rules by which a file is chosen: by its validation score among what may ship; what the test set refutes is passed over."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgebook.errors import BadInput
from edgebook.metrics.pareto import pareto
from edgebook.metrics.verdicts import AS_SMALL, ROUNDING, SPEED_MARGIN, keeps_score, standard_error
from edgebook.report.aggregate import POINT, grouped, is_float_baseline, merge, ok, value
from edgebook.report.format import margin, metric
from edgebook.rows import Row

COSTS = ("size_bytes", "latency_ms_p50")
SHIP = ("version", "baseline")  # roles
LEARNED = 0.1  # share of the way from a constant answer to a perfect score that a baseline must have gone
CLEARLY = 0.9  # of the chosen file's bytes: what is not smaller than that is not worth a second recommendation


@dataclass(frozen=True)
class Limits:
    """What the user allows. max_loss: of the score, as a row holds it; None: the metric's margin, half a point of accuracy."""

    max_loss: float | None = None
    max_size_bytes: float | None = None
    max_latency_ms: float | None = None
    runtime: str | None = None

    def __post_init__(self) -> None:
        for name in ("max_loss", "max_size_bytes", "max_latency_ms"):
            limit = getattr(self, name)
            if limit is not None and not (math.isfinite(limit) and limit >= 0):
                raise BadInput(f"{name} = {limit}; allowed: a number from 0 on")

    def loss(self, row: Row) -> float:
        """The loss of score that is allowed for a row."""
        return margin(row) if self.max_loss is None else self.max_loss

    def hold(self, row: Row) -> bool:
        """Whether a row is known to keep size, latency and runtime."""
        pairs = [(row["size_bytes"], self.max_size_bytes), (row["latency_ms_p50"], self.max_latency_ms)]
        within = all(limit is None or (figure is not None and figure <= limit) for figure, limit in pairs)
        return within and self.runtime in (None, row["runtime"])


@dataclass(frozen=True)
class Choice:
    """What was chosen, and what there was to choose from.

    row: the file to ship, None when there is none. baseline: what it is compared with. unlearned: a baseline that has
    learned nothing, where nothing is chosen. refuted: chosen before `row`, but the test set contradicts. smallest: a file
    that is clearly smaller than `row` and keeps the score as well. The counts are of points, seeds merged.
    """

    row: Row | None = None
    baseline: Row | None = None
    unlearned: Row | None = None
    refuted: tuple[Row, ...] = ()
    smallest: Row | None = None
    n_versions: int = 0
    n_within: int = 0  # of them, those that keep the limits of size, latency and runtime
    n_keeping: int = 0  # of them, those that keep the score on validation


def baselines(rows: list[Row]) -> list[Row]:
    """The float baselines with both scores; integer files of the same network where there is no float one."""
    scored = [row for row in ok(rows) if row["role"] == "baseline" and None not in (row["score"], row["val_score"])]
    return [row for row in scored if row["precision"] == "fp32"] or scored


def baseline_of(row: Row, lines: list[Row]) -> Row | None:
    """The baseline that a row is judged by: of its seed and runtime, in another runtime the best by validation."""
    lines = [line for line in lines if line["seed"] == row["seed"]] or lines
    lines = [line for line in lines if line["runtime"] == row["runtime"]] or lines
    return max(lines, key=lambda line: line["val_score"], default=None)


def learned(row: Row) -> bool:
    """Whether a test score is clearly above that of the best constant answer: with its whole interval, by more than the
    margin and a tenth of what a perfect score adds. True where the constant's score is not known.
    """
    if row["chance"] is None or row["score"] is None:
        return True
    low = row["score"] if row["score_lo"] is None else row["score_lo"]
    return low > row["chance"] + max(margin(row), LEARNED * (metric(row["metric"]).perfect - row["chance"]))


def candidates(rows: list[Row]) -> list[Row]:
    """What may be named to ship: versions and baselines with both scores. Controls and references never are, nor is a
    version whose file is the float baseline's byte for byte.
    """
    same = {(row["runtime"], row["sha256"]) for row in ok(rows) if row["sha256"] and is_float_baseline(row)}
    return [
        row
        for row in ok(rows)
        if row["role"] in SHIP
        and None not in (row["score"], row["val_score"])
        and (row["role"] == "baseline" or (row["runtime"], row["sha256"]) not in same)
    ]


def front(rows: list[Row], cost: str = "size_bytes") -> list[Row]:
    """The candidates that no other beats in both validation score and `cost`, cheapest first; seeds merged.

    Raises BadInput for a cost that is none of COSTS.
    """
    if cost not in COSTS:
        raise BadInput(f"cost {cost!r} is unknown; allowed: {', '.join(COSTS)}")
    points = merge(candidates(rows))  # one without this cost is on no front
    mask = pareto([(row["val_score"], row[cost]) for row in points], maximise=(True, False)) if points else []
    return sorted((row for row, on_front in zip(points, mask, strict=True) if on_front), key=lambda row: row[cost])


def keeps(row: Row, lines: list[Row], limits: Limits) -> bool:
    """Whether a row keeps its baseline's validation score, see `verdicts.keeps_score`.

    The standard error is that of the paired difference where it was measured, else 0.
    """
    line = baseline_of(row, lines)
    if line is None or is_float_baseline(row):
        return line is not None
    difference, error = row["val_score"] - line["val_score"], 0.0
    low, high = value(row, "extra.val_delta_lo"), value(row, "extra.val_delta_hi")
    if line["runtime"] == row["runtime"] and low is not None and high is not None:
        paired = value(row, "extra.val_delta")
        difference, error = difference if paired is None else paired, standard_error(low, high)
    return keeps_score(difference, error, limits.loss(row))


def refuted(row: Row, lines: list[Row], limits: Limits) -> bool:
    """Whether the test set shows a row to be worse than its float baseline, and by more than is allowed.

    Paired, by the row's verdict, where that compares with a float file; else by the interval of the score alone.
    """
    line = baseline_of(row, lines)
    if line is None or is_float_baseline(row):
        return False
    if line["runtime"] == row["runtime"] and row["delta"] is not None:
        return row["verdict"] == "worse" and row["delta"] < -limits.loss(row) - ROUNDING
    return row["score_hi"] is not None and row["score_hi"] < line["score"] - limits.loss(row) - ROUNDING


def time_of(row: Row) -> float | None:
    """The latency, where it is only estimated the estimate, ms."""
    return row["latency_ms_est"] if row["latency_ms_p50"] is None else row["latency_ms_p50"]


def _size(row: Row) -> float:
    return math.inf if row["size_bytes"] is None else row["size_bytes"]


def cheapest(points: list[Row]) -> Row:
    """The fastest; of those that are as fast within the margin of latencies, `smallest`. Without any latency, that of all."""
    timed = [row for row in points if time_of(row) is not None]
    if timed:
        limit = min(map(time_of, timed)) * math.exp(SPEED_MARGIN)
        points = [row for row in timed if time_of(row) <= limit]
    return smallest(points)


def smallest(points: list[Row]) -> Row:
    """The smallest file; of those that are as small within 2 %, the best on validation, since so few bytes decide nothing.

    A version that is not clearly smaller than a baseline among them is not worth its trouble: then it is the baseline.
    """
    limit = min(map(_size, points)) / AS_SMALL
    alike = [row for row in points if _size(row) <= limit]
    best = min(alike, key=lambda row: (-row["val_score"], _size(row), time_of(row) or math.inf))
    plain = min((row for row in points if row["role"] == "baseline"), key=_size, default=best)
    return best if _size(best) < CLEARLY * _size(plain) else plain


def choose(
    rows: list[Row],
    limits: Limits | None = None,
    *,
    beside: list[Row] | None = None,
    best: Callable[[list[Row]], Row] = cheapest,
) -> Choice:
    """The file to ship of one task, model and setting.

    Of the points within the limits that keep the validation score, the `best` one that the test set does not refute. With
    several seeds a point counts by its means, and its seed with the best validation score ships. `beside`: all rows of
    the task and model, for baselines in other settings.
    """
    limits, ships, lines = limits or Limits(), candidates(rows), baselines(beside or rows)
    points, seeds, means = merge(ships), grouped(ships, POINT), merge(lines)
    if unlearned := next((line for line in lines if not learned(line)), None):
        return Choice(baseline=unlearned, unlearned=unlearned, n_versions=_versions(points))
    within = [point for point in points if limits.hold(point)]
    keeping = [point for point in within if keeps(point, means, limits)]
    holding = [point for point in keeping if not _is_refuted(point, _file_of(point, seeds), means, lines, limits)]
    point, passed_over = _first_that_holds(keeping, holding, best)
    row = _file_of(point, seeds) if point else None
    smaller = [other for other in holding if point and _size(other) < CLEARLY * _size(point)]
    return Choice(
        row=row,
        baseline=baseline_of(row, lines) if row else max(lines, key=lambda line: line["val_score"], default=None),
        refuted=tuple(passed_over),
        smallest=_file_of(smallest(smaller), seeds) if smaller else None,
        n_versions=_versions(points),
        n_within=_versions(within),
        n_keeping=_versions(keeping),
    )


def _is_refuted(point: Row, file: Row, means: list[Row], lines: list[Row], limits: Limits) -> bool:
    """Whether the test set refutes a point's means over seeds, or the file that would ship for it."""
    return refuted(point, means, limits) or refuted(file, lines, limits)


def _versions(points: list[Row]) -> int:
    return sum(point["role"] == "version" for point in points)


def _file_of(point: Row, seeds: dict[tuple, list[Row]]) -> Row:
    """The file that ships for a point: of several seeds the best by validation."""
    return max(seeds[tuple(point[key] for key in POINT)], key=lambda row: row["val_score"]) if point["seed"] is None else point


def _first_that_holds(points: list[Row], holding: list[Row], best: Callable[[list[Row]], Row]) -> tuple[Row | None, list[Row]]:
    """The best of the points that is among those that hold, and those that were better but are not, best first."""
    held, rest, passed_over = {id(point) for point in holding}, list(points), []
    while rest:
        point = best(rest)
        if id(point) in held:
            return point, passed_over
        passed_over.append(point)
        rest = [other for other in rest if other is not point]
    return None, passed_over
