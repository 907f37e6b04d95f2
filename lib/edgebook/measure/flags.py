"""Where a file does not keep what its method promises, in the words that the tables show."""

from __future__ import annotations

from typing import Any

SLOWER = "quantized but slower here"
NOT_FASTER = "pruned but not faster here"
NOT_SMALLER = "quantized but not smaller"
NOT_PORTABLE = "answers change on x86 without VNNI (reduce_range helps)"
PRUNED = ("prune", "plain", "search", "sparsify", "recurrent")  # families
SAME_ANSWERS = 0.99  # share that must stay on such a CPU


def flags(row: dict[str, Any]) -> list[str]:
    """The flags of a row with speeds and sizes; an empty list when it keeps its promise, or nothing can be said."""
    quantized = (row["precision"] or "fp32") != "fp32"
    smaller = row["compression_ratio"]
    found = {
        SLOWER: quantized and row["speed_verdict"] == "slower",
        NOT_FASTER: (row["family"] in PRUNED or "prune" in (row["method"] or "")) and row["speed_verdict"] in ("slower", "same"),
        NOT_SMALLER: quantized and smaller is not None and smaller <= 1 and row["row_id"] != row["baseline_id"],
        NOT_PORTABLE: row["extra"].get("portability", 1.0) < SAME_ANSWERS,
    }
    return [flag for flag, raised in found.items() if raised]
