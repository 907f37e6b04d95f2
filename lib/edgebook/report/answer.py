"""The answer to a reader: which file to ship, in sentences whose every word the figures allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edgebook.metrics.verdicts import SPEED_MARGIN
from edgebook.report import format as fmt
from edgebook.report.aggregate import is_float_baseline, is_own_baseline, ok, value
from edgebook.report.choose import Choice, Limits, baseline_of, baselines, candidates, cheapest, choose
from edgebook.report.rare_classes import lost_classes, misleading
from edgebook.rows import Row

COARSE = 4.0  # times the allowed loss: a validation interval wider than that on either side is told
LISTED = 3  # files that were passed over, named one by one


@dataclass(frozen=True)
class Answer:
    """What to ship and why. kind: a version, the baseline as it is, or nothing."""

    kind: Literal["version", "baseline", "nothing"]
    sentences: tuple[str, ...]
    choice: Choice

    @property
    def text(self) -> str:
        """All sentences; the first is the answer."""
        return " ".join(self.sentences)

    @property
    def row(self) -> Row | None:
        """The file to ship."""
        return self.choice.row


def answer(
    rows: list[Row],
    limits: Limits | None = None,
    *,
    beside: list[Row] | None = None,
    best: Callable[[list[Row]], Row] = cheapest,
) -> Answer:
    """What to ship of one task, model and setting; arguments as those of `choose`."""
    limits, beside = limits or Limits(), beside or rows
    choice, lines, whole = choose(rows, limits, beside=beside, best=best), baselines(beside), n_test(beside)
    if choice.row is None:
        return Answer(
            "nothing", (f"Nothing to recommend: {_why_nothing(rows, choice, limits)}", *_refuted(choice, limits)), choice
        )
    kind = "baseline" if is_float_baseline(choice.row) else "version"
    more = _about_baseline(choice, limits) if kind == "baseline" else _about_version(choice.row, lines, limits)
    first = f"Ship {_what(choice.row)}: {figures(choice.row, lines, whole, limits)}."
    more = [*more, *misleading(choice.row), *_refuted(choice, limits)]
    return Answer(kind, (first, *more, *_smallest(choice.smallest, lines, whole, limits)), choice)


def n_test(rows: list[Row]) -> int:
    """Items of the whole test split: what a row says of it, else the most that any of these rows was scored on."""
    return max((n for row in rows for n in (value(row, "extra.n_test_split"), row["n_test"]) if n), default=0)


def figures(row: Row, lines: list[Row], whole: int, limits: Limits) -> str:
    """A row's figures beside its baseline's, one of `lines`; `whole`: items of the test split.

    `test accuracy 92.1 % (91.0–93.0), the same as ...; 9.0 kB, 2.6 times smaller; 0.02 ms, 1.4 times faster (1.3–1.5)`
    """
    score = f"test {fmt.metric(row['metric']).label} {scored(row, whole)}"
    return f"{score}{_against(row, baseline_of(row, lines), limits)}; {_size(row)}; {_speed(row)}"


def scored(row: Row, whole: int) -> str:
    """`92.1 % (91.0–93.0)`, with the number of items where it was not the whole test split."""
    text = fmt.with_interval(fmt.score(row["score"], row["metric"], unit=True), fmt.score_interval(row))
    part = row["n_test"] and row["n_test"] < whole
    return f"{text} on {fmt.count(row['n_test'])} of {fmt.count(whole)} test items" if part else text


def baseline_text(row: Row | None) -> str:
    """`the float baseline`; a baseline in another number format is called by that."""
    precision = row and ("float" if is_float_baseline(row) else row["precision"])
    return f"the {precision} baseline" if precision else "the baseline"


def _what(row: Row) -> str:
    if is_float_baseline(row):
        return f"{baseline_text(row)} as it is ({fmt.where(row)})"
    seed = f", seed {row['seed']}" if row["seed"] else ""
    return f"{fmt.name(row)} ({fmt.where(row)}{seed})"


def _against(row: Row, baseline: Row | None, limits: Limits) -> str:
    """How the test score compares with the baseline's, as the verdict allows to say it."""
    if baseline is None or is_own_baseline(row):
        return ""
    if baseline["runtime"] != row["runtime"]:
        gap = fmt.difference(row["score"] - baseline["score"], row["metric"], unit=True)
        return f", {gap} against {baseline_text(baseline)} in {baseline['runtime']}"
    if row["delta"] is None:
        return ""
    figure = fmt.with_interval(fmt.difference(row["delta"], row["metric"], unit=True), fmt.difference_interval(row))
    name, allowed = baseline_text(baseline), _allowed(row, limits)
    return {
        "same": f", the same as {name} within {fmt.margin_text(row)}: {figure}",
        "better": f", better than {name}: {figure}",
        "worse": f", worse than {name}: {figure}, of {allowed} that may be lost",
        "cannot tell": f", which the test set cannot tell from {name}: {figure}",
    }.get(row["verdict"], "")


def _allowed(row: Row, limits: Limits) -> str:
    unit = fmt.metric(row["metric"]).difference_unit
    return fmt.spread(limits.loss(row), row["metric"]) + (f" {unit}" if unit else "")


def _size(row: Row) -> str:
    """`42.3 kB, 7.4 times smaller`."""
    ratio = row["compression_ratio"]
    if row["size_bytes"] is None or ratio is None or is_own_baseline(row) or 0.995 <= ratio <= 1.005:
        return fmt.size(row["size_bytes"])
    text = f"{fmt.times(ratio)} times smaller" if ratio > 1 else f"{fmt.times(1 / ratio)} times larger"
    return f"{fmt.size(row['size_bytes'])}, {text}"


def _speed(row: Row) -> str:
    """`0.112 ms, 3.1 times faster (3.0–3.2)`, as the verdict allows to say it."""
    if row["latency_ms_p50"] is None:
        estimate = row["latency_ms_est"]
        return "latency not measured" if estimate is None else f"latency estimated at {fmt.digits(estimate)} ms, not measured"
    ms, ratio = f"{fmt.digits(row['latency_ms_p50'])} ms", fmt.speed(row["speedup"])
    if row["speedup"] is None or is_own_baseline(row):
        return ms
    around = fmt.interval(row["speedup_lo"], row["speedup_hi"], fmt.speed)
    return ms + {
        "faster": fmt.with_interval(f", {ratio} times faster", around),
        "slower": fmt.with_interval(f", slower: speed-up {ratio}", around),
        "same": f", as fast as the baseline within {SPEED_MARGIN:.0%}".replace("%", " %"),
        "cannot tell": fmt.with_interval(f", cannot tell whether faster: speed-up {ratio}", around),
        "unstable": ", but the machine was too unstable to compare",
    }.get(row["speed_verdict"], "")


def _why_nothing(rows: list[Row], choice: Choice, limits: Limits) -> str:
    """Why no file is named, as the end of a sentence."""
    if not ok(rows):
        return "no version could be measured."
    if row := choice.unlearned:
        label, seed = fmt.metric(row["metric"]).label, f" of seed {row['seed']}" if row["seed"] else ""
        figure = fmt.with_interval(fmt.score(row["score"], row["metric"], unit=True), fmt.score_interval(row))
        constant = fmt.score(row["chance"], row["metric"], unit=True)
        return (
            f"{baseline_text(row)}{seed} has not learned the task. Its test {label} is {figure}, the best constant answer has "
            f"{constant}. Train it longer or with another recipe before compressing it."
        )
    if not candidates(rows):
        return "no file with a validation score may ship here; controls and references do not."
    if choice.baseline is None:
        return "no baseline was measured that the versions could be compared with."
    if not choice.n_within:
        return f"no version that was measured keeps the limits{_limits(limits)}."
    label, limit = fmt.metric(choice.baseline["metric"]).label, _limits(limits)
    kept = f"{choice.n_within} of {choice.n_versions} versions keep the limits{limit}"
    if not choice.n_keeping:
        return f"{kept}, but none of them the {label} on validation." if limit else _all_lose(choice, label)
    which = f"{kept}, {choice.n_keeping} of them" if limit else f"{choice.n_keeping} of {choice.n_versions} versions keep"
    return f"{which} the {label} on validation, and the test set refutes {'it' if choice.n_keeping == 1 else 'those'}."


def _all_lose(choice: Choice, label: str) -> str:
    n = choice.n_within
    return f"{'the only version loses' if n == 1 else f'all {n} versions lose'} more {label} on validation than allowed."


def _limits(limits: Limits) -> str:
    """` (at most 10.0 kB, in onnx)`; empty without limits."""
    texts = [
        f"at most {fmt.size(limits.max_size_bytes)}" if limits.max_size_bytes is not None else "",
        f"at most {fmt.digits(limits.max_latency_ms)} ms" if limits.max_latency_ms is not None else "",
        f"in {limits.runtime}" if limits.runtime else "",
    ]
    return f" ({', '.join(filter(None, texts))})" if any(texts) else ""


def _about_baseline(choice: Choice, limits: Limits) -> list[str]:
    """Why no version is better than the baseline itself."""
    label, n = fmt.metric(choice.row["metric"]).label, choice.n_within
    if not choice.n_versions:
        return ["Nothing lighter was measured beside it."]
    if not n:
        return [f"No version keeps the limits{_limits(limits)}."]
    if not choice.n_keeping:
        sentence = _all_lose(choice, label)
        return [sentence[0].upper() + sentence[1:]]
    if choice.n_keeping == len(choice.refuted):
        return []
    cheaper = "faster" if choice.row["latency_ms_p50"] is not None else "smaller"
    if n == 1:
        return [f"The only version keeps its {label} on validation, but is not {cheaper}."]
    rest = "no other" if choice.refuted else "none of these"
    return [f"{choice.n_keeping} of {n} versions keep its {label} on validation, but {rest} is {cheaper}."]


def _about_version(row: Row, lines: list[Row], limits: Limits) -> list[str]:
    """What a reader has to know before shipping: a larger file, a class that is lost, a validation split that tells little."""
    return [*_larger(row, lines), *lost_classes(row, baseline_of(row, lines)), *_coarse(row, limits)]


def _larger(row: Row, lines: list[Row]) -> list[str]:
    """A sentence where the float baseline in another runtime is a smaller file."""
    sized = [line for line in lines if line["size_bytes"] is not None and line["runtime"] != row["runtime"]]
    light = min(sized, key=lambda line: line["size_bytes"], default=None)
    if light is None or row["size_bytes"] is None or row["size_bytes"] <= light["size_bytes"]:
        return []
    return [f"It is larger than {baseline_text(light)} in {light['runtime']}, which has {fmt.size(light['size_bytes'])}."]


def _coarse(row: Row, limits: Limits) -> list[str]:
    """A sentence where validation is too small for the loss that it is to judge."""
    low, high, n = (value(row, f"extra.{name}") for name in ("val_delta_lo", "val_delta_hi", "n_val"))
    if None in (low, high) or (high - low) / 2 <= COARSE * limits.loss(row):
        return []
    items = f" with its {fmt.count(n)} items" if n else ""
    reach = fmt.difference((high - low) / 2, row["metric"], unit=True).lstrip("+")
    return [f"Validation{items} tells only differences beyond {reach} apart."]


def _refuted(choice: Choice, limits: Limits) -> list[str]:
    """Sentences on the files that validation had put first and the test set contradicts."""
    sentences, more = [], len(choice.refuted) - LISTED
    for row in choice.refuted[:LISTED]:
        label = fmt.metric(row["metric"]).label
        figure = fmt.with_interval(fmt.difference(row["delta"], row["metric"], unit=True), fmt.difference_interval(row))
        if row["verdict"] != "worse":
            figure = fmt.with_interval(fmt.score(row["score"], row["metric"], unit=True), fmt.score_interval(row))
        sentences.append(
            f"Not {fmt.name(row)} ({fmt.where(row)}), which kept its {label} on validation: the test set shows {figure}, "
            f"more than the {_allowed(row, limits)} that may be lost."
        )
    return [*sentences, f"The test set refutes {more} more in the same way."] if more > 0 else sentences


def _smallest(row: Row | None, lines: list[Row], whole: int, limits: Limits) -> list[str]:
    """A sentence on the file for those who need few bytes rather than little time."""
    return [f"Where bytes matter more: {_what(row)}, {figures(row, lines, whole, limits)}."] if row else []
