"""Packed files read: every weight is decoded to float, and the network runs in eager PyTorch."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

from edgebook.errors import BadInput
from edgebook.runtimes.base import Program
from edgebook.runtimes.packed.format import decode

MAGIC = b"EBPK2"


def preload() -> None:
    """Import PyTorch, which runs the network."""
    import torch  # noqa: F401


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The program of the decoded network. Raises BadInput when the file is damaged or of another kind."""
    from edgebook.runtimes.torch.load import eager

    return eager(read(path), threads=threads)


def read(path: Path):
    """The network of a packed file, in eval mode. Raises BadInput when the file is damaged or of another kind."""
    import torch

    from edgebook.models import rebuild
    from edgebook.models.structure import resize

    raw = Path(path).read_bytes()
    if not raw.startswith(MAGIC) or zlib.crc32(raw[:-4]) != struct.unpack("<I", raw[-4:])[0]:
        raise BadInput(f"{path}: is not a whole packed file (its first bytes or its checksum differ)")
    (head_size,) = struct.unpack_from("<H", raw, len(MAGIC))
    start = len(MAGIC) + 2 + head_size
    head = json.loads(zlib.decompress(raw[len(MAGIC) + 2 : start]))
    model = rebuild(head["spec"])
    if "sizes" in head:
        shapes = dict(zip(model.state_dict(), head["shapes"], strict=True))
        resize(model, {"sizes": head["sizes"], "shapes": shapes})
    state = model.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            values, start = decode(raw, start, tuple(tensor.shape))
            state[name] = torch.from_numpy(values)
    model.load_state_dict(state)
    return model.eval()
