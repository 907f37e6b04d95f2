"""The truth table: one network in every runtime and number format, and the boards that each file fits."""

from __future__ import annotations

from html import escape
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from edgebook.devices import Device, fit
from edgebook.errors import BadInput
from edgebook.report import look, tables, words

Row = dict[str, Any]
HEADS = ("version", "runtime", "format", "accuracy %", "against float", "agreement %", "file kB", "RAM kB", "latency ms", "fits")


def truth(rows: list[Row], devices: dict[str, Device]) -> list[dict[str, str]]:
    """The table as text, one dict a row: score with its interval, agreement, bytes, RAM, latency and the boards it fits."""
    return [_line(row, devices) for row in rows]


def _line(row: Row, devices: dict[str, Device]) -> dict[str, str]:
    line = {"version": words.name(row), "runtime": row["runtime"], "format": row["precision"]}
    if row["status"] != "ok":
        return line | {"fits": words.reason(row)}
    ram, kind = (row["arena_bytes"], "arena") if row["arena_bytes"] is not None else (row["rss_bytes"], "process")
    score = words.interval(row["score_lo"], row["score_hi"], lambda end: words.score(end, row["metric"]))
    est = row["latency_ms_p50"] is None and row["latency_ms_est"] is not None
    latency = row["latency_ms_est"] if est else row["latency_ms_p50"]
    compared = row["delta"] is not None and row["row_id"] != row["baseline_id"]
    return line | {
        "accuracy %": words.with_interval(words.score(row["score"], row["metric"]), score),
        "against float": f"{words.difference(row['delta'], row['metric'])}, {row['verdict']}" if compared else words.NONE,
        "agreement %": words.score(row["agreement"]),
        "file kB": words.kilobytes(row["size_bytes"]),
        "RAM kB": f"{words.kilobytes(ram)} {kind}" if ram is not None else words.NONE,
        "latency ms": words.digits(latency) + (" est." if est else ""),
        "fits": _boards(row, devices),
    }


def _boards(row: Row, devices: dict[str, Device]) -> str:
    """`stm32f746, rp2040; not nrf52840 (too much ram)`."""
    found = {name: fit(row, device) for name, device in devices.items()}
    fitting = ", ".join(name for name, one in found.items() if one["fits"])
    others = ", ".join(f"{name} ({one['why']})" for name, one in found.items() if one["fits"] is False)
    return "; ".join(part for part in (fitting, f"not {others}" if others else "") if part) or "no board here runs it"


def truth_table(rows: list[Row], devices: dict[str, Device], caption: str = "") -> Any:
    """`truth` for a notebook: an object that JupyterLab and nbconvert show as HTML, other places as text."""
    from IPython.display import HTML

    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in HEADS)
    body = "".join(_html_line(line) for line in truth(rows, devices))
    label = escape(caption or "Every runtime and number format")
    return HTML(
        f'<style>{tables.STYLE}</style><div class="eb-scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<table class="eb-rows"><caption>{label}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _html_line(line: dict[str, str]) -> str:
    first = f'<th scope="row">{escape(line["version"])}</th>'
    if "accuracy %" not in line:
        where = "".join(f"<td>{escape(line[key])}</td>" for key in ("runtime", "format"))
        return f'<tr class="eb-unsupported">{first}{where}<td colspan="7" class="eb-why">{escape(line["fits"])}</td></tr>'
    return f"<tr>{first}{''.join(f'<td>{escape(line[key])}</td>' for key in HEADS[1:])}</tr>"


def boards(rows: list[Row], devices: dict[str, Device], *, title: str = "") -> Figure:
    """How much of each board a file takes: a dot for each file that can run there, at the larger of its shares of flash
    and RAM; right of the line it does not fit. Filled: RAM is the tighter one; hollow: flash. Raises BadInput for no file.
    """
    found = [(name, row, fit(row, one)) for name, one in devices.items() for row in rows]
    found = [(name, row, one["shares"]) for name, row, one in found if one["fits"] is not None]
    if not found:
        raise BadInput("no file of these rows can run on any of the devices")
    names = [name for name in devices if any(name == other for other, _, _ in found)]
    figure, axes = look.new(title or "How much of each board the files take", high=1.4 + 0.42 * len(names))
    paint = look.series([row["precision"] for _, row, _ in found])
    for name, row, shares in found:
        tight = max(shares, key=shares.get)
        colour = paint[row["precision"]]
        axes.scatter(
            100 * shares[tight], names.index(name), marker=look.marker(row["runtime"].split("-")[0]), s=46, linewidths=1.3,
            color=colour if tight == "ram_bytes" else "none", edgecolors=colour, alpha=0.85,
        )  # fmt: skip
    axes.axvline(100, color=look.INK, lw=1.1, ls=(0, (5, 3)))
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    shown = [100 * max(shares.values()) for _, _, shares in found]
    look.log_axis(axes.xaxis, min(*shown, 1), max(*shown, 120))
    axes.set(xlabel="the larger share, of flash (hollow) or of RAM (filled), %")
    dot = {"linestyle": "", "markeredgecolor": "white", "markersize": 8}
    handles = [Line2D([], [], marker="o", color=colour, label=name, **dot) for name, colour in paint.items()]
    kinds = dict.fromkeys(row["runtime"].split("-")[0] for _, row, _ in found)
    handles += [Line2D([], [], marker=look.marker(name), color=look.SOFT, label=name, **dot) for name in kinds]
    figure.legend(handles=handles, loc="outside lower left", ncols=5, labelcolor=look.INK)
    return figure
