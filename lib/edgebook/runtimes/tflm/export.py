"""LiteRT's files as they are, once TFLM has run them; the operator that it lacks where it cannot."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

from edgebook.errors import Unsupported
from edgebook.runtimes import export_limit, one_step

COMMAND = [sys.executable, "-P", "-m", "edgebook.runtimes.tflm.arena"]


def derive(parent_path: Path, path: Path, name: str) -> dict[str, Any]:
    """A copy of the parent's file; the arena that it took. Raises Unsupported with the operator's name."""
    shutil.copyfile(parent_path, path)
    one_step.copy_description(parent_path, path)
    run = export_limit.run([*COMMAND, str(path)])
    total = re.search(r"Arena allocation total (\d+) bytes", run.stderr)
    if run.returncode or not total:
        reason, operator = _reason(run.stderr)
        raise Unsupported(f"{name}: {reason}", code="operator", operator=operator)
    return {"arena_bytes": int(total[1])}


def _reason(text: str) -> tuple[str, str | None]:
    """Why, and which operator, from what TFLM prints."""
    if missing := re.search(r"Didn't find op for builtin opcode '(\w+)'", text):
        return f"no kernel for {missing[1]}", missing[1]
    lines = [line for line in text.splitlines() if line.strip()]
    if failed := re.search(r"Node (\w+) \(number (\d+)\w?\) failed to (\w+)", text):
        cause = next((line.split(" ", 1)[-1] for line in lines if "was not true" in line or "supported" in line), "")
        return f"{failed[1]} (operator {failed[2]}) cannot {failed[3]}{': ' + cause if cause else ''}"[:250], failed[1]
    return (lines[-1] if lines else "it ended without an error message")[:250], None
