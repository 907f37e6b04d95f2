"""A run's rows as one document: its page, rows.csv, `edgebook pick` and 90_compare all read this, so that they agree."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebook import rows as rows_module
from edgebook.errors import BadInput
from edgebook.report.aggregate import files, grouped, ok, value, with_references
from edgebook.report.answer import Answer, answer
from edgebook.report.choose import Limits
from edgebook.rows import CASE, Row
from edgebook.run_folder import executions_of

SETTING = ("device", "threads", "batch_size")


@dataclass(frozen=True)
class Case:
    """One data set and network in one setting: what is compared, and what one answer is given for.

    rows: one per file, all seeds; rows without figures stand in the first setting of their network. beside: all rows of the
    data set and network.
    """

    task: str
    model: str
    title: str  # both, for people; unique in a run
    setting: str  # "on host, 1 thread, 1 item per call"
    rows: list[Row]
    beside: list[Row]

    def has(self, column: str) -> bool:
        """Whether a row here has a score and this figure, so that the two can be drawn."""
        return any(row["score"] is not None and row[column] is not None for row in ok(self.rows))

    def answer(self, limits: Limits | None = None) -> Answer:
        """What to ship here."""
        return answer(ok(self.rows), limits, beside=self.beside)


@dataclass(frozen=True)
class Document:
    """rows: all that were read, as they are. cases: what they say. problems: a line for each row that could not be read, and for
    what is damaged. executions: those that have rows or a page, and that the preset names.
    """

    run: str
    folder: Path
    rows: list[Row]
    problems: list[str] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    executions: list[str] = field(default_factory=list)


def read(run_dir: Path) -> Document:
    """The document of a run's folder. Raises BadInput when the run has neither rows nor pages."""
    folder = Path(run_dir)
    rows, problems = rows_module.read(folder) if (folder / "rows").is_dir() else ([], [])
    executions = _executions(folder, rows)
    if not rows and not executions:
        raise BadInput(f"{folder}: no rows to show; `edgebook run params/quick.yaml` makes some{_first(problems)}")
    return Document(folder.name, folder, rows, problems, cases(rows), executions)


def _executions(folder: Path, rows: list[Row]) -> list[str]:
    pages = {path.stem for path in (folder / "pages").glob("*.html")}
    try:
        named = executions_of(folder)
    except ValueError:  # said among the problems
        named = None
    return sorted({row["execution"] for row in rows if row["execution"]} | (pages if named is None else pages & set(named)))


def _first(problems: list[str]) -> str:
    return f"; {len(problems)} lines cannot be read, the first: {problems[0]}" if problems else ""


def cases(rows: list[Row]) -> list[Case]:
    """One case for each network on its data, device, threads and batch size: latencies of different ones do not compare."""
    clean = [row for row in rows if not value(row, "extra.robustness")]  # what corrupted items say stands on their own page
    shown = [row for row in files(with_references(clean)) if row["task"] and row["model"]]
    groups = grouped(shown, CASE)
    titles = _titles(groups)
    return [
        Case(str(task), str(model), titles[case, task, model], _setting_text(setting), members, group)
        for (case, task, model), group in groups.items()
        for setting, members in _settings(group)
    ]


def _titles(groups: dict[tuple, list[Row]]) -> dict[tuple, str]:
    """A short title for each group of rows: `mnist1d · gru`; where several would have the same, with the arguments of the
    network's builder that differ, `mnist1d · gru (hidden 48)`, or else with a number.
    """
    titles = {key: f"{key[1]} · {key[2]}" for key in groups}
    shapes = {key: next(filter(None, (value(row, "asked.model_shape") for row in rows)), {}) for key, rows in groups.items()}
    for title in dict.fromkeys(titles.values()):
        alike = [key for key in groups if titles[key] == title]
        names = [name for name in dict.fromkeys(name for key in alike for name in shapes[key]) if not _same(name, shapes, alike)]
        texts = {key: ", ".join(f"{name} {shapes[key].get(name, 'as usual')}" for name in names) for key in alike}
        if len(set(texts.values())) < len(alike):
            texts = {key: f"{number} of {len(alike)}" for number, key in enumerate(alike, 1)}
        titles |= {key: f"{title} ({texts[key]})" for key in alike if len(alike) > 1}
    return titles


def _same(name: str, shapes: dict[tuple, Any], keys: list[tuple]) -> bool:
    """Whether an argument has the same value for all keys."""
    return all(shapes[key].get(name) == shapes[keys[0]].get(name) for key in keys)


def _settings(group: list[Row]) -> list[tuple[tuple, list[Row]]]:
    """The rows of one model by setting, this host's first; rows without figures join the first one."""
    settings = sorted(grouped(ok(group), SETTING).items(), key=lambda item: item[0][0] != "host") or [((None, None, None), [])]
    (first, members), *rest = settings
    return [(first, members + [row for row in group if row["status"] != "ok"]), *rest]


def _setting_text(setting: tuple) -> str:
    device, threads, batch = setting
    parts = [
        f"on {device}" if device else "",
        f"{threads} thread{'s' if threads != 1 else ''}" if threads else "",
        f"{batch} item{'s' if batch != 1 else ''} per call" if batch else "",
    ]
    return ", ".join(filter(None, parts))


def to_csv(document: Document) -> str:
    """The flat table: the contract's columns in their order, then what objects hold, by name."""
    flat = [rows_module.flatten(row) for row in document.rows]
    plain = [name for name in rows_module.COLUMNS if name not in rows_module.OBJECTS]
    dotted = sorted({name for row in flat for name in row} - set(plain), key=lambda name: (_group(name), name))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, plain + dotted, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(flat)
    return buffer.getvalue()


def _group(name: str) -> int:
    """Where the object of a dotted column stands among the objects; columns of none come last."""
    start = name.partition(".")[0]
    return rows_module.OBJECTS.index(start) if start in rows_module.OBJECTS else len(rows_module.OBJECTS)
