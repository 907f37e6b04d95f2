"""The figures of docs/choosing.md from the rows of a run: python benchmarks/choosing.py reports/quick > docs/choosing_figures.md

For each network the smallest file of each technique that keeps the score on validation, and what to ship to each board.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgebook.devices import load_devices
from edgebook.report import format as fmt
from edgebook.report.aggregate import merge, value
from edgebook.report.choose import Limits, baselines, candidates, keeps
from edgebook.report.document import Case, read
from edgebook.report.targets import choices
from edgebook.rows import Row
from edgebook.vocabulary import FAMILIES


def technique(rows: list[Row], lines: list[Row]) -> Row:
    """The smallest of those that keep the score on validation; where none does, the one with the best validation score."""
    keeping = [row for row in rows if keeps(row, lines, Limits())]
    return min(keeping, key=lambda row: row["size_bytes"]) if keeping else max(rows, key=lambda row: row["val_score"])


def line(row: Row, lines: list[Row]) -> str:
    """One line of the table."""
    name = f"{fmt.name(row)} ({row['runtime']}, {row['precision']})" + ("" if keeps(row, lines, Limits()) else ": none keeps it")
    loss = (
        f"{fmt.difference(row['delta'], row['metric'])}; {fmt.difference_interval(row)}" if row["delta"] is not None else fmt.NONE
    )
    faster = fmt.times(row["speedup"], 2) if row["speedup"] else fmt.NONE
    cells = (FAMILIES[row["family"]].label, name, loss, row["verdict"] or fmt.NONE, fmt.kilobytes(row["size_bytes"]))
    return "| " + " | ".join((*cells, fmt.times(row["compression_ratio"]), faster)) + " |"


def section(case: Case) -> list[str]:
    """The table of one network and what each board gets."""
    lines, versions = baselines(case.rows), [row for row in merge(candidates(case.rows)) if row["role"] == "version"]
    families = dict.fromkeys(row["family"] for row in versions)
    best = [technique([row for row in versions if row["family"] == family], lines) for family in families]
    head = ["technique", "its smallest file that keeps the score", "difference, points", "verdict", "kB", "smaller", "faster"]
    texts = [f"## {case.title}, {case.setting}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    texts += [line(row, lines) for row in sorted(best, key=lambda row: row["size_bytes"])]
    deployed = [row for row in case.rows if row["notebook"] == "60_deploy" or value(row, "extra.peak_layer")]
    if deployed:
        texts += ["", *(f"- **{', '.join(boards)}**: {text}" for text, boards in by_sentence(deployed).items())]
    return [*texts, ""]


def by_sentence(rows: list[Row]) -> dict[str, list[str]]:
    """What to ship -> the boards that get it, without those that run none of the files."""
    groups: dict[str, list[str]] = {}
    for board, text in choices(rows, load_devices()).items():
        if board != "host" and "Ship" in text:
            groups.setdefault(text.partition(" Flash ")[0], []).append(board)
    return groups


def main() -> None:
    """Print the page of a run."""
    document = read(Path(sys.argv[1]))
    commit = next((row["commit"][:12] for row in document.rows if row["commit"]), "unknown")
    print(f"Figures of the run `{document.run}` at commit {commit}; each difference with its paired 95 % interval.\n")
    print("\n".join(text for case in document.cases for text in (section(case) if len(case.rows) > 3 else [])))


if __name__ == "__main__":
    main()
