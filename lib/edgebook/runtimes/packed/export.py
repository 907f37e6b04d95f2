"""Packed files written: how to rebuild the network, then every tensor in its smallest exact form."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

from edgebook.errors import Unsupported
from edgebook.models import rebuild
from edgebook.models.batch_norm import without_statistics
from edgebook.models.fake_quantized import FakeQuantized
from edgebook.models.structure import describe
from edgebook.runtimes.packed.format import encode, stored_bits
from edgebook.runtimes.packed.load import MAGIC


def convert(model, example, path: Path) -> dict[str, Any]:
    """The packed file: magic, header (zlib JSON), one record per floating-point tensor in the network's own order, a checksum.

    Batch norm is stored as scale and shift (two vectors of four), exact up to float rounding. The column `precision` is
    counted in the weights.
    """
    if isinstance(model, FakeQuantized):
        raise Unsupported("packed has no integer activations; onnx, litert and executorch have them", code="precision")
    state = without_statistics(model).state_dict()
    head = {"spec": model.spec}
    structure = describe(model)
    if structure != describe(rebuild(model.spec)):  # it was pruned
        head |= {"sizes": structure["sizes"], "shapes": list(structure["shapes"].values())}
    packed_head = zlib.compress(json.dumps(head, separators=(",", ":")).encode(), 9)
    body = b"".join(encode(tensor.cpu().numpy()) for tensor in state.values() if tensor.is_floating_point())
    content = MAGIC + struct.pack("<H", len(packed_head)) + packed_head + body
    Path(path).write_bytes(content + struct.pack("<I", zlib.crc32(content)))
    return {"precision": precision(model)}


def precision(model) -> str:
    """How the weights of a network's packed file are stored: fp32, codebook-4bit, int4-weight, mixed-4.2bit (mean per weight)."""
    weights = [tensor for name, tensor in model.state_dict().items() if name.endswith("weight") and tensor.ndim > 1]
    forms = [stored_bits(encode(weight.cpu().numpy())) for weight in weights]
    if len(set(forms)) == 1:
        form, bits = forms[0]
        return {"float": f"fp{bits}", "int": f"int{bits}-weight", "codebook": f"codebook-{bits}bit"}[form]
    total = sum(bits * weight.numel() for (_, bits), weight in zip(forms, weights, strict=True))
    return f"mixed-{total / max(sum(weight.numel() for weight in weights), 1):.1f}bit"
