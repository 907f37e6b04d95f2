"""Export to ONNX: the float file by torch.onnx, other number formats in `quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebook.models.fake_quantized import FakeQuantized
from edgebook.runtimes.onnx.quantize import quantize
from edgebook.runtimes.onnx.unsigned import unsigned_activations

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
    onnx.save(unsigned_activations(proto) if is_quantized else proto, path)
    return {}


def without_notes(proto):
    """The model without the exporter's notes (stack traces, docs): a third of a small file, and no runtime reads them."""
    proto.ClearField("metadata_props")
    for part in (proto.graph, *proto.graph.node, *proto.graph.initializer, *proto.graph.value_info, *proto.functions):
        for note in ("metadata_props", "doc_string"):
            if note in part.DESCRIPTOR.fields_by_name:
                part.ClearField(note)
    return proto
