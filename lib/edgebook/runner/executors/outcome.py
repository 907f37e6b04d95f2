"""What became of a call in another process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """The value of a call, or the reason in one line why there is none."""

    value: Any = None
    error: str | None = None
