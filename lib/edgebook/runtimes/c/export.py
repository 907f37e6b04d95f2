"""LiteRT's static integer files as C source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebook.runtimes import one_step
from edgebook.runtimes.c import generate, sub_8_bit
from edgebook.runtimes.c.graph import read
from edgebook.runtimes.c.lower import lower


def derive(parent_path: Path, path: Path, name: str) -> dict[str, Any]:
    """The C source, the bytes of its constants as the size, and the bits per weight as they are stored.

    Raises Unsupported with the operator or the number format that has no kernel.
    """
    one_step.copy_description(parent_path, path)
    network = lower(read(parent_path))
    source, size = generate.generated(network)
    path.write_text(source, encoding="utf-8")
    extra = {"size_unstripped_bytes": None}  # that of the parent
    return {"size_bytes": size, "size_zip_bytes": None, "weight_bits": sub_8_bit.weight_bits(network), "extra": extra}
