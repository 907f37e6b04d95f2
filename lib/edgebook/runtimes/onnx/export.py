"""Export to ONNX: the float file by torch.onnx, other number formats in `quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgebook.models.fake_quantized import FakeQuantized
from edgebook.runtimes.onnx.load import plain
from edgebook.runtimes.onnx.quantize import quantize
from edgebook.runtimes.onnx.unsigned import unsigned_activations
from edgebook.same_outputs import why_changed

__all__ = ["convert", "quantize"]


def convert(model, example, path: Path) -> dict[str, Any]:
    """One file with its weights inside: by default the exporter puts them into a second file, which the size of the first
    does not show. Of a FakeQuantized network the integer file that it describes.
    """
    import onnx
    import torch

    is_quantized = isinstance(model, FakeQuantized)
    model = model.integers(fold=True) if is_quantized else model
    program = torch.onnx.export(model, (example,), dynamo=True, verbose=False, input_names=["x"], output_names=["y"])
    proto = without_notes(program.model_proto)
    onnx.save(proto, path)
    return _made_unsigned(proto, example.numpy(), path) if is_quantized else {}


def _made_unsigned(proto, x: np.ndarray, path: Path) -> dict[str, Any]:
    """Replace the file by the one with uint8 activations; it stays, and `extra.signed` says why, where its outputs change."""
    import onnx

    signed = path.with_name(f"signed{path.suffix}")
    path.rename(signed)
    onnx.save(unsigned_activations(proto), path)
    reason = why_changed(plain(signed).predict(x), plain(path).predict(x), tolerance=0)
    if reason:
        signed.replace(path)
        return {"extra": {"signed": reason}}
    signed.unlink()
    return {}


def without_notes(proto):
    """The model without the exporter's notes (stack traces, docs): a third of a small file, and no runtime reads them."""
    proto.ClearField("metadata_props")
    for part in (proto.graph, *proto.graph.node, *proto.graph.initializer, *proto.graph.value_info, *proto.functions):
        for note in ("metadata_props", "doc_string"):
            if note in part.DESCRIPTOR.fields_by_name:
                part.ClearField(note)
    return proto
