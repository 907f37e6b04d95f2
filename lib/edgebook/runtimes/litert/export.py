"""Export to LiteRT: float by litert-torch, integers by ai-edge-quantizer, then stripped of what no runtime reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput, Unsupported, one_line
from edgebook.models.fake_quantized import FakeQuantized
from edgebook.models.streaming import Streaming
from edgebook.runtimes import one_step
from edgebook.runtimes.litert import flatbuffer
from edgebook.runtimes.litert import one_step as litert_one_step
from edgebook.runtimes.litert.load import load
from edgebook.runtimes.litert.quantize import quantize
from edgebook.runtimes.litert.refusal import why_refused
from edgebook.same_outputs import why_changed

__all__ = ["convert", "finish", "quantize"]


def convert(model, example, path: Path) -> dict[str, Any]:
    """The float file; of a Streaming network its one step; of a FakeQuantized one the integer file that it describes."""
    import litert_torch

    if isinstance(model, Streaming):
        litert_one_step.convert(model, example, path)
    elif isinstance(model, FakeQuantized):
        from litert_torch.quantize import pt2e_quantizer, quant_config

        config = pt2e_quantizer.get_symmetric_quantization_config(is_per_channel=True, is_qat=True)
        config = quant_config.QuantConfig(pt2e_quantizer=pt2e_quantizer.PT2EQuantizer().set_global(config))
        litert_torch.convert(model.integers(fold=False), (example,), quant_config=config).export(str(path))
    else:
        litert_torch.convert(model, (example,)).export(str(path))
    return {}


def finish(whole_path: Path, path: Path, items: np.ndarray) -> dict[str, Any]:
    """The file that ships, stripped, at `path`; its size before, and the operator that needs the most memory, in `extra`.

    Where the outputs of `items` are not equal bit by bit, the file stays whole and `extra.not_stripped` says why. Raises
    Unsupported, with the operator where it can be told, for a file that LiteRT refuses.
    """
    data = whole_path.read_bytes()
    try:
        whole = load(whole_path)
    except BadInput as error:
        reason = why_refused(data) or one_line(error).removeprefix(f"{whole_path}: ")
        raise Unsupported(f"litert refuses it: {reason}", code="operator") from error
    path.write_bytes(flatbuffer.strip(data))
    one_step.copy_description(whole_path, path)
    reason = why_changed(whole.predict(items), load(path).predict(items), tolerance=0)
    extra: dict[str, Any] = {"size_unstripped_bytes": len(data), "peak_layer": flatbuffer.peak_layer(data)}
    if reason:
        path.write_bytes(data)
        extra["not_stripped"] = reason
    return {"extra": extra}
