"""What C files take on microcontroller cores: flash, RAM, stack and instructions, and the boards that have room."""

from __future__ import annotations

from html import escape
from typing import Any

from edgebook.devices import Device
from edgebook.report import format as fmt
from edgebook.report.aggregate import ok, value
from edgebook.report.columns import columns_of
from edgebook.report.stylesheet import STYLE
from edgebook.report.tables import frame
from edgebook.report.targets import boards, wrapped_head
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
    first, _, *heads, boards_head = content[0]
    headers = [first, *map(wrapped_head, heads), f'<th scope="col">{escape(boards_head)}</th>']
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
            fmt.with_unit(score.head, score.unit): score.main(row),
            "flash, kB": fmt.kilobytes(row["flash_bytes"]),
            "RAM, kB": fmt.kilobytes(row["ram_bytes"]),
            "stack, bytes": fmt.count(row["stack_bytes"]),
            "instructions per call": fmt.count(row["instructions"]),
            "boards": boards(row, {name: device for name, device in devices.items() if device.core == row["core"]}),
        }
        for row in counted
        if score
    ]


def _html(line: dict[str, str]) -> str:
    version, core, *middle, room = line.values()
    cells = "".join(f'<td class="eb-n">{escape(text)}</td>' for text in middle)
    head = f'<th scope="row">{escape(version)}<span class="eb-ci">{escape(core)}</span></th>'
    return f'<tr>{head}{cells}<td class="eb-fits">{escape(room)}</td></tr>'
