"""Where a file does not keep what its technique promises, as the tables show it."""

from __future__ import annotations

from typing import Any

from edgebook.vocabulary import FAMILIES

SLOWER = "quantized but slower here"
NOT_FASTER = "pruned but not faster here"
NOT_SMALLER = "quantized but not smaller"
NOT_PORTABLE = "predictions change on x86 without VNNI (reduce_range helps)"
SAME_PREDICTIONS = 0.99  # share that must stay on such a CPU


def flags(row: dict[str, Any]) -> list[str]:
    """The flags of a row; an empty list when the file keeps its promise, or nothing can be said."""
    quantized = (row["precision"] or "fp32") != "fp32"
    smaller, compared = row["compression_ratio"], row["row_id"] != row["baseline_id"]
    raised = {
        SLOWER: quantized and row["speed_verdict"] == "slower",
        NOT_FASTER: FAMILIES[row["family"]].promises_speed and row["speed_verdict"] in ("slower", "same"),
        NOT_SMALLER: quantized and compared and smaller is not None and smaller <= 1,
        NOT_PORTABLE: row["extra"].get("portability", 1.0) < SAME_PREDICTIONS,
    }
    return [flag for flag, is_raised in raised.items() if is_raised]
