"""What C files take on microcontroller cores: flash, RAM, stack and instructions, and the boards that have room."""

from __future__ import annotations

from html import escape
from typing import Any

from edgebook.devices import Device, fit
from edgebook.report import format as fmt
from edgebook.report.aggregate import ok, value
from edgebook.report.columns import columns_of
from edgebook.report.stylesheet import STYLE
from edgebook.report.tables import frame
from edgebook.rows import Row


def show(rows: list[Row], devices: dict[str, Device], caption: str = "") -> Any:
    """`lines` for a notebook: an object that JupyterLab and nbconvert show as HTML, other places as text. A sentence where
    nothing was counted.
    """
    from IPython.display import HTML

    content = lines(rows, devices)
    if not content:
        reasons = {str(value(row, "extra.not_counted")) for row in ok(rows) if value(row, "extra.not_counted")}
        return HTML(f"<p>{escape('; '.join(sorted(reasons)) or 'None of these files is C for a microcontroller.')}</p>")
    first, *heads = content[0]
    headers = [first, *(f'<th scope="col">{escape(head)}</th>' for head in heads)]
    return HTML(f"<style>{STYLE}</style>{frame(caption, 'C files on microcontroller cores', headers, list(map(_html, content)))}")


def lines(rows: list[Row], devices: dict[str, Device]) -> list[dict[str, str]]:
    """One dict per counted row, head -> text; the first is the version."""
    counted = [row for row in ok(rows) if row["core"] is not None]
    score = columns_of(counted)[0] if counted else None
    return [
        {
            "version": fmt.name(row),
            "core": row["core"],
            "bits per weight": fmt.digits(row["weight_bits"], 2),
            f"{score.head}, {score.unit}" if score.unit else score.head: score.main(row),
            "flash, kB": fmt.kilobytes(row["flash_bytes"]),
            "RAM, kB": fmt.kilobytes(row["ram_bytes"]),
            "stack, bytes": fmt.count(row["stack_bytes"]),
            "instructions per call": fmt.count(row["instructions"]),
            "boards": _boards(row, devices),
        }
        for row in counted
        if score
    ]


def _boards(row: Row, devices: dict[str, Device]) -> str:
    """`stm32l031k6; not stm32l021k4 (too much flash)`, of the boards with this core."""
    results = {name: fit(row, device) for name, device in devices.items() if device.core == row["core"]}
    fits = ", ".join(name for name, result in results.items() if result["fits"])
    others = ", ".join(f"{name} ({result['why']})" for name, result in results.items() if result["fits"] is False)
    return "; ".join(filter(None, (fits, f"not {others}" if others else ""))) or "no board here has this core"


def _html(line: dict[str, str]) -> str:
    first, *middle, boards = line.values()
    cells = "".join(f'<td class="eb-n">{escape(text)}</td>' for text in middle)
    return f'<tr><th scope="row">{escape(first)}</th>{cells}<td class="eb-fits">{escape(boards)}</td></tr>'
