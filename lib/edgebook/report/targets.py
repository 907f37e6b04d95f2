"""One network in every runtime and number format, the boards that each file fits, and what to ship to each board."""

from __future__ import annotations

from html import escape
from typing import Any

from edgebook.devices import Device, fit, need
from edgebook.report import format as fmt
from edgebook.report.aggregate import grouped, is_own_baseline, ok, value
from edgebook.report.answer import answer
from edgebook.report.choose import Limits, cheapest, smallest
from edgebook.report.columns import columns_of, others_text, why_not
from edgebook.report.stylesheet import STYLE
from edgebook.report.tables import frame
from edgebook.rows import Row

Devices = dict[str, Device]


def show(rows: list[Row], devices: Devices, caption: str = "", *, latency_budget_ms: float = 0) -> Any:
    """`lines` for a notebook: an object that JupyterLab and nbconvert show as HTML, other places as text."""
    from IPython.display import HTML

    content = lines(rows, devices, latency_budget_ms=latency_budget_ms)
    heads = list(dict.fromkeys(head for line in content for head in line["figures"]))
    last = "fits, or where it ran" if any(_is_remote(row) for row in rows) else "fits"
    headers = ["version", *map(wrapped_head, heads), f'<th scope="col" class="eb-wrap">{last}</th>']
    body = [_html_line(line, heads) for line in content]
    return HTML(f"<style>{STYLE}</style>{frame(caption, 'Every runtime and number format', headers, body)}")


def lines(rows: list[Row], devices: Devices, *, latency_budget_ms: float = 0) -> list[dict[str, Any]]:
    """One dict per row: `version`, `runtime`, `format`, `figures` (head -> (figure, what stands under it); empty for a row
    without) and `fits`: the boards with room, the machine over SSH that it ran on, or the reason. Runtimes that lack a number
    format share one, and so do the files that a machine could not run for the same reason.
    """
    content: list[dict[str, Any]] = []
    for row in rows:
        line = {"version": fmt.name(row), "runtime": _where(row), "format": row["precision"] or "", "figures": {}}
        if row["status"] == "ok":
            fits = _machine(row) if _is_remote(row) else boards(row, devices, latency_budget_ms or None)
            content.append(line | {"figures": _figures(row, rows), "fits": fits})
        elif _is_remote(row):
            _join(content, line | {"version": "files over SSH", "format": "", "fits": fmt.reason(row)}, "version")
        elif value(row, "extra.unsupported") != "precision":
            content.append(line | {"runtime": row["runtime"] or "", "fits": why_not(row, rows)})
        else:
            fits = f"no {row['precision']} there; {others_text(row, rows)}"
            _join(content, line | {"runtime": row["runtime"] or "", "fits": fits}, "version", "format")
    return content


def _join(content: list[dict[str, Any]], line: dict[str, Any], *keys: str) -> None:
    """Append a line without figures; where there is one with the same reason and `keys`, its runtime is added to that one."""
    same = [other for other in content if all(other[key] == line[key] for key in (*keys, "fits"))]
    if not same:
        content.append(line)
    elif line["runtime"] not in same[0]["runtime"].split(", "):  # else the same on another core
        same[0]["runtime"] += f", {line['runtime']}"


def _is_remote(row: Row) -> bool:
    return bool(value(row, "extra.over_ssh"))


def _where(row: Row) -> str:
    runs = row["runtime"] or ""
    return f"{runs} on {row['device']}" if row["core"] or _is_remote(row) else runs


def _machine(row: Row) -> str:
    """`Cortex-A72, governor ondemand, 48.3 °C before and 51.0 after, throttled=0x0`: what is known of the machine."""
    machine = row["machine"] or {}
    before, after = machine.get("temperature_c"), machine.get("temperature_c_after")
    facts = [
        machine.get("cpu"),
        f"governor {machine['governor']}" if machine.get("governor") else None,
        f"{before:.1f} °C before and {after:.1f} after" if before is not None and after is not None else None,
        machine.get("throttled_after"),
    ]
    return ", ".join(str(fact) for fact in facts if fact)


def _figures(row: Row, rows: list[Row]) -> dict[str, tuple[str, str]]:
    """head -> (the figure, what stands under it)."""
    score, latency = columns_of(rows)[0], row["latency_ms_p50"]
    is_estimate = latency is None and row["latency_ms_est"] is not None
    ram = need(row)[1]
    kind = "core" if row["core"] else "arena" if row["arena_bytes"] is not None else "process"
    has_difference = row["delta"] is not None and not is_own_baseline(row)
    against = (fmt.difference(row["delta"], row["metric"]), row["verdict"] or "") if has_difference else (fmt.NONE, "")
    return {
        fmt.with_unit(score.head, score.unit): (score.main(row), score.around(row)),
        "against the baseline": against,
        "agreement, %": (fmt.share(row["agreement"]), ""),
        "file, kB": (fmt.kilobytes(row["size_bytes"]), ""),
        "RAM, kB": (fmt.kilobytes(ram), kind if ram is not None else ""),
        "latency, ms": (fmt.digits(row["latency_ms_est"] if is_estimate else latency), "estimated" if is_estimate else ""),
    }


def wrapped_head(head: str) -> str:
    """The head of a column of figures, on several lines where it has several words."""
    return f'<th scope="col" class="eb-n eb-wrap">{escape(head)}</th>'


def _html_line(line: dict[str, Any], heads: list[str]) -> str:
    where = " · ".join(filter(None, (line["runtime"], line["format"])))
    first = f'<th scope="row">{escape(line["version"])}<span class="eb-ci">{escape(where)}</span></th>'
    if not line["figures"]:
        return f'<tr class="eb-unsupported">{first}<td colspan="{len(heads) + 1}" class="eb-why">{escape(line["fits"])}</td></tr>'
    cells = "".join(_html_cell(*line["figures"][head]) for head in heads)
    return f'<tr>{first}{cells}<td class="eb-fits">{escape(line["fits"])}</td></tr>'


def _html_cell(figure: str, around: str) -> str:
    under = f'<span class="eb-ci">{escape(around)}</span>' if around else ""
    return f'<td class="eb-n">{escape(figure)}{under}</td>'


def boards(row: Row, devices: Devices, budget_ms: float | None = None) -> str:
    """`stm32f746, rp2040; not nrf52840 (too much ram)`; short where every board that runs it has room."""
    results = {name: fit(row, device, latency_budget_ms=budget_ms) for name, device in devices.items()}
    fits = [name for name, result in results.items() if result["fits"]]
    others = [f"{name} ({result['why']})" for name, result in results.items() if result["fits"] is False]
    if len(fits) > 2 and not others:
        return f"all {len(fits)} that run it"
    parts = (", ".join(fits), f"not {', '.join(others)}" if others else "")
    return "; ".join(filter(None, parts)) or "no board here runs it"


def choices(rows: list[Row], devices: Devices, *, max_loss: float | None = None, latency_budget_ms: float = 0) -> dict[str, str]:
    """Board -> what to ship there, by the rules of every answer, among the files that fit; then machine over SSH -> the same,
    among the files that ran there.

    On a board with an accelerator its files come first; then, where latencies are the board's own, the fastest, elsewhere the
    smallest. max_loss: of the validation score; None: the metric's margin. One entry for all boards where the baseline has
    learned nothing.
    """
    here, limits = [row for row in rows if not _is_remote(row)], Limits(max_loss=max_loss)
    overall = answer(here, limits)
    if overall.choice.unlearned:
        return {"every board": overall.text}
    told = {name: _choice(here, device, limits, latency_budget_ms or None) for name, device in devices.items()}
    timed = Limits(max_loss=max_loss, max_latency_ms=latency_budget_ms or None)
    for (device,), group in grouped([row for row in rows if _is_remote(row)], ("device",)).items():
        told[device] = answer(group, timed).text if ok(group) else "none of the files ran there"
    return told


def show_choices(told: dict[str, str]) -> Any:
    """`choices` for a notebook, a line for each board."""
    from IPython.display import HTML

    cells = (f'<th scope="row">{escape(board)}</th><td class="eb-fits">{escape(text)}</td>' for board, text in told.items())
    heads, body = ["board", '<th scope="col">what to ship</th>'], [f"<tr>{line}</tr>" for line in cells]
    return HTML(f"<style>{STYLE}</style>{frame('', 'What to ship', heads, body)}")


def _choice(rows: list[Row], device: Device, limits: Limits, budget_ms: float | None) -> str:
    results = {row["row_id"]: fit(row, device, latency_budget_ms=budget_ms) for row in rows}
    fitting = [row for row in rows if results[row["row_id"]]["fits"]]
    if not fitting:
        runnable = any(result["fits"] is False for result in results.values())
        return "none of the files that run there fits" if runnable else "none of these files runs there"
    compiled = [row for row in fitting if row["device"] == device.accelerator is not None]
    best = cheapest if compiled or device.name == "host" else smallest
    chosen = answer(compiled, limits, beside=rows, best=best) if compiled else None
    if chosen is None or chosen.row is None:
        chosen = answer(fitting, limits, beside=rows, best=best)
    if chosen.row is None:
        return chosen.text
    where = " The time is this machine's, not the board's." if chosen.row["latency_ms_p50"] and device.name != "host" else ""
    return f"{chosen.text}{where} {_memory(chosen.row, results[chosen.row['row_id']])}"


def _memory(row: Row, result: dict[str, Any]) -> str:
    """`Flash 8.1 %, RAM 14.2 % (46.6 kB), most in CONV_2D (operator 3).`"""
    ram = need(row)[1]
    flash_share, ram_share = (_share(result["shares"][key]) for key in ("flash_bytes", "ram_bytes"))
    peak = f", most in {result['peak']['operator']} (operator {result['peak']['index']})" if result["peak"] else ""
    return f"Flash {flash_share}, RAM {ram_share} ({fmt.size(ram)}){peak}."


def _share(part: float) -> str:
    return "under 0.1 %" if part < 0.001 else f"{100 * part:.1f} %"
