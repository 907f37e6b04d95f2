"""The truth table: one network in every runtime and number format, and the boards that each file fits."""

from __future__ import annotations

from html import escape
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from edgebook.devices import Device, fit
from edgebook.errors import BadInput
from edgebook.report import format as words
from edgebook.report import tables
from edgebook.report import theme as look

Row = dict[str, Any]
HEADS = ("accuracy %", "against float", "agreement %", "file kB", "RAM kB", "latency ms", "fits")


def truth(rows: list[Row], devices: dict[str, Device], *, latency_budget_ms: float = 0) -> list[dict[str, str]]:
    """The table as text, one dict a row: score with its interval, agreement, bytes, RAM, latency and the boards it fits.
    Targets that lack a number format altogether share a line.
    """
    lines: list[dict[str, str]] = []
    for row in rows:
        line = _line(row, devices, latency_budget_ms or None)
        if row["status"] == "unsupported" and f" has no {row['precision']}; " in str(row["error"]):
            able = str(row["error"]).rpartition("; ")[2]
            line["fits"] = f"no {row['precision']} there; {able}"
            same = [one for one in lines if all(one[key] == line[key] for key in ("version", "format", "fits"))]
            if same:
                same[0]["runtime"] += f", {line['runtime']}"
                continue
        lines.append(line)
    return lines


def _line(row: Row, devices: dict[str, Device], budget_ms: float | None) -> dict[str, str]:
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
        "RAM kB": f"{words.kilobytes(ram)} ({kind})" if ram is not None else words.NONE,
        "latency ms": words.digits(latency) + (" est." if est else ""),
        "fits": _boards(row, devices, budget_ms),
    }


def _boards(row: Row, devices: dict[str, Device], budget_ms: float | None) -> str:
    """`stm32f746, rp2040; not nrf52840 (too much ram)`; short where every board that runs it has room."""
    found = {name: fit(row, device, latency_budget_ms=budget_ms) for name, device in devices.items()}
    able = [name for name, one in found.items() if one["fits"] is not None]
    if len(able) > 2 and all(found[name]["fits"] for name in able):
        return f"all {len(able)} that run it"
    fitting = ", ".join(name for name, one in found.items() if one["fits"])
    others = ", ".join(f"{name} ({one['why']})" for name, one in found.items() if one["fits"] is False)
    return "; ".join(part for part in (fitting, f"not {others}" if others else "") if part) or "no board here runs it"


def truth_table(rows: list[Row], devices: dict[str, Device], caption: str = "", *, latency_budget_ms: float = 0) -> Any:
    """`truth` for a notebook: an object that JupyterLab and nbconvert show as HTML, other places as text."""
    from IPython.display import HTML

    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("version", *HEADS))
    body = "".join(_html_line(line) for line in truth(rows, devices, latency_budget_ms=latency_budget_ms))
    label = escape(caption or "Every runtime and number format")
    return HTML(
        f'<style>{tables.STYLE}</style><div class="eb-scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<table class="eb-rows"><caption>{label}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _html_line(line: dict[str, str]) -> str:
    where = f'<span class="eb-ci">{escape(line["runtime"])} · {escape(line["format"])}</span>'
    first = f'<th scope="row">{escape(line["version"])}{where}</th>'
    if "accuracy %" not in line:
        return f'<tr class="eb-unsupported">{first}<td colspan="{len(HEADS)}" class="eb-why">{escape(line["fits"])}</td></tr>'
    cells = "".join(_html_cell(line[key]) for key in HEADS[:-1])
    return f'<tr>{first}{cells}<td class="eb-fits">{escape(line["fits"])}</td></tr>'


def _html_cell(text: str) -> str:
    """The figure, and under it what stands in brackets or behind a comma."""
    middle, _, around = text.replace(", ", " (", 1).partition(" (")
    under = f'<span class="eb-ci">{escape(around.rstrip(")"))}</span>' if around else ""
    return f'<td class="eb-n">{escape(middle)}{under}</td>'


def choices(rows: list[Row], devices: dict[str, Device], *, max_loss: float = 0.005, latency_budget_ms: float = 0) -> str:
    """One line a board: of the files that fit, the smallest whose validation score is within `max_loss` of the best."""
    lines = []
    for name, one in devices.items():
        found = [row for row in rows if row["val_score"] is not None]
        found = [row for row in found if fit(row, one, latency_budget_ms=latency_budget_ms or None)["fits"]]
        best = max((row["val_score"] for row in found), default=0)
        near = [row for row in found if row["val_score"] >= best - max_loss]
        row = min(near, key=lambda row: row["size_bytes"], default=None)
        lines.append(f"{name}: {_said(row, fit(row, one)) if row else 'none of these files fits'}")
    return "\n".join(lines)


def _said(row: Row, found: dict[str, Any]) -> str:
    """`baseline (tflm, int8-static): 92.1 % (91.5–92.6); 85.9 kB of flash (8 %), 46.6 kB of RAM (14 %), most in CONV_2D`."""
    around = words.interval(row["score_lo"], row["score_hi"], lambda end: words.score(end, row["metric"]))
    score = words.with_interval(words.score(row["score"], row["metric"]) + " %", around)
    ram = row["rss_bytes"] if row["arena_bytes"] is None else row["arena_bytes"]
    flash_share, ram_share = (_share(found["shares"][key]) for key in ("flash_bytes", "ram_bytes"))
    peak = f", most in {found['peak']['operator']} (operator {found['peak']['index']})" if found["peak"] else ""
    memory = f"{words.size(row['size_bytes'])} of flash ({flash_share}), {words.size(ram)} of RAM ({ram_share}){peak}"
    return f"{words.name(row)} ({row['runtime']}, {row['precision']}): {score}; {memory}"


def _share(part: float) -> str:
    return "under 0.1 %" if part < 0.001 else f"{100 * part:.1f} %"


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
