"""Networks in the store's own format: small, and loaded with `weights_only=True`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def convert(model, example, path: Path) -> dict[str, Any]:
    """The store's file of the network."""
    from edgebook.training.store import save

    save(model, path)
    return {}
