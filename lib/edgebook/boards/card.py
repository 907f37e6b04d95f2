"""The model card of a bundle: what was measured, on which data, and what it does not say."""

from __future__ import annotations

from typing import Any


def card(row: dict[str, Any], data: dict[str, Any]) -> str:
    """Markdown made of one result row and the task's licence and source. What the row lacks is left out."""
    title = row.get("label") or row.get("method") or row.get("model") or "model"
    facts = [(name, text) for name, text in _facts(row, data) if text]
    parts = [
        f"# {title}",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {text} |" for name, text in facts),
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in _limits(row)),
        "",
        "## Use",
        "",
        "`make` builds the example and checks the golden vectors on this machine; `make m4` does so on an emulated Cortex-M4.",
        "`preprocess.json` says how raw data become inputs, `labels.json` what the outputs are.",
    ]
    return "\n".join(parts) + "\n"


def _facts(row: dict[str, Any], data: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("network", _words(row, "model", "method")),
        ("precision", _words(row, "precision")),
        ("runtime", _words(row, "runtime")),
        (f"test {row.get('metric') or 'score'}", _interval(row, "score", "score_lo", "score_hi", 4)),
        ("difference from the float baseline", _interval(row, "delta", "delta_lo", "delta_hi", 4)),
        ("parameters", _integer(row, "n_params", "")),
        ("multiply-accumulates per item", _integer(row, "macs", "")),
        ("file", _integer(row, "size_bytes", " bytes")),
        ("flash", _integer(row, "flash_bytes", " bytes")),
        ("RAM", _integer(row, "ram_bytes", " bytes")),
        ("stack", _integer(row, "stack_bytes", " bytes")),
        ("bits per weight", _integer(row, "weight_bits", "")),
        ("instructions per call", _integer(row, "instructions", f" on {row.get('core')}")),
        ("latency, median", _interval(row, "latency_ms_p50", "latency_lo", "latency_hi", 3, " ms")),
        ("data", _words(row, "task")),
        ("source of the data", str(data.get("source") or "")),
        ("licence of the data", str(data.get("licence") or "")),
        ("SHA-256 of the file", _words(row, "sha256")),
        ("made by", _words(row, "run", "row_id", "commit")),
    ]


def _words(row: dict[str, Any], *names: str) -> str:
    return ", ".join(str(row[name]) for name in names if row.get(name))


def _integer(row: dict[str, Any], name: str, unit: str) -> str:
    return f"{row[name]:,.0f}{unit}" if row.get(name) is not None else ""


def _interval(row: dict[str, Any], name: str, low: str, high: str, digits: int, unit: str = "") -> str:
    """A value with its 95 % interval where there is one."""
    if row.get(name) is None:
        return ""
    ends = f" (95 %: {row[low]:.{digits}f} to {row[high]:.{digits}f})" if row.get(low) is not None else ""
    return f"{row[name]:.{digits}f}{unit}{ends}"


def _limits(row: dict[str, Any]) -> list[str]:
    n, task = row.get("n_test"), row.get("task") or "the data set"
    scored = f"{n:,} test items" if n else "the test items"
    limits = [f"The score holds for {scored} of {task}; other data, other sensors and other preprocessing may give another one."]
    if row.get("latency_ms_p50") is not None:
        machine, threads = row.get("device") or "one machine", row.get("threads") or 1
        limits.append(f"The latency was measured on {machine}, threads: {threads}.")
    if row.get("instructions") is not None:
        limits.append("Instructions are counted on an emulated core; they are neither cycles nor time.")
    limits.append("Nothing is known about robustness, fairness or safety beyond what this card says.")
    return limits
