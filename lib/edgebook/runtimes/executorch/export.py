"""Export to ExecuTorch: programs lowered to XNNPACK, integers by torchao's PT2E quantization of the network."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.models.fake_quantized import FakeQuantized
from edgebook.runtimes.base import Quant
from edgebook.runtimes.options import BOTH_GRANULARITIES, require

OPTIONS = {
    "fp16": {},
    "int8-static": {"granularity": BOTH_GRANULARITIES},
    "int8-dynamic": {"granularity": BOTH_GRANULARITIES},
}


def convert(model, example, path: Path) -> dict[str, Any]:
    """The float program; of a FakeQuantized network the integer program that it describes."""
    _lower(model.integers(fold=True) if isinstance(model, FakeQuantized) else model, example, path)
    return {}


def quantize(source, path: Path, quant: Quant, items: np.ndarray) -> dict[str, Any]:
    """Other number formats, from the network `source`: a .pte cannot be quantized. fp16 is the network in half precision; int8
    is PT2E with the ranges that the items give (static) or that each call gives (dynamic).
    """
    import torch

    require("executorch", quant, OPTIONS)
    example = torch.from_numpy(items[:1])
    if quant.precision == "fp16":
        _lower(copy.deepcopy(source).half(), example.half(), path)
        return {}
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    dynamic = quant.precision == "int8-dynamic"
    config = xnnpack_quantizer.get_symmetric_quantization_config(
        is_per_channel=quant.granularity == "channel", is_dynamic=dynamic
    )
    program = torch.export.export(source, (example,)).module()
    net = prepare_pt2e(program, xnnpack_quantizer.XNNPACKQuantizer().set_global(config))
    with torch.inference_mode():
        for item in torch.from_numpy(items[:1] if dynamic else items).split(1):
            net(item)
    _lower(convert_pt2e(net), example, path)
    return {}


def _lower(model, example, path: Path) -> None:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(model, (example,))
    path.write_bytes(to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch().buffer)
