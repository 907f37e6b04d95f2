"""Export to LiteRT: float by litert-torch, integers by ai-edge-quantizer, then stripped of what no runtime reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgebook.models.fake_quantized import FakeQuantized
from edgebook.models.streaming import Streaming
from edgebook.runtimes import one_step
from edgebook.runtimes.litert import flatbuffer
from edgebook.runtimes.litert import one_step as litert_one_step
from edgebook.runtimes.litert.load import load
from edgebook.runtimes.litert.quantize import quantize

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

    Where the outputs of `items` are not equal bit by bit, the file stays whole and `extra.stripped` is false.
    """
    data = whole_path.read_bytes()
    path.write_bytes(flatbuffer.strip(data))
    one_step.copy_description(whole_path, path)
    equal = np.array_equal(load(whole_path).predict(items), load(path).predict(items))
    if not equal:
        path.write_bytes(data)
    return {"extra": {"size_unstripped_bytes": len(data), "stripped": equal, "peak_layer": flatbuffer.peak_layer(data)}}
