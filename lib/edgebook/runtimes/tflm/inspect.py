"""What a file for microcontrollers holds: it is LiteRT's format."""

from __future__ import annotations

from edgebook.runtimes.litert.inspect import inspect, operators

__all__ = ["inspect", "operators"]
