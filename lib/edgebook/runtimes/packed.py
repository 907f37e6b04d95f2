"""Bit-packed files: codebook + indices for every clustered layer. Storage only: it is decoded to run, and not timed.

`convert` loses nothing: it looks at each tensor and takes the smallest exact form. Few distinct values become a codebook
and indices of 1 to 8 bits; values on a grid for each output channel become integers and scales; the rest stays float.
"""

from __future__ import annotations

import copy
import json
import struct
import zlib
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes import Program

EXTENSION = ".pack"
LIBRARIES = ("torch",)
PRECISIONS = ("fp32",)
HAS_LATENCY = False  # no runtime computes in this form

MAGIC = b"EBPK1"
FLOAT32, FLOAT16, CODEBOOK32, CODEBOOK16, GRID = range(5)


def convert(model, x, path: Path) -> None:
    """The packed file: magic, header (zlib JSON: how to rebuild the net), then one record a tensor in the net's own order,
    then a checksum. Batch norm is stored as scale and shift (two vectors of four), exact up to float rounding.
    """
    if hasattr(model, "integers"):
        raise Unsupported("packed stores shared weights; a net with int8 activations ships in onnx or litert")
    state = list(settled(model).state_dict().values())
    head = {"spec": model.spec}
    if shapes_differ(model):
        from edgebook.training.store import leaf_sizes

        head |= {"sizes": leaf_sizes(model), "shapes": [list(tensor.shape) for tensor in state]}
    head = zlib.compress(json.dumps(head, separators=(",", ":")).encode(), 9)
    body = b"".join(encode(tensor.numpy()) for tensor in state if tensor.is_floating_point())
    whole = MAGIC + struct.pack("<H", len(head)) + head + body
    Path(path).write_bytes(whole + struct.pack("<I", zlib.crc32(whole)))


def shapes_differ(model) -> bool:
    """Whether the model's tensors have other shapes than its `spec` builds: it was pruned."""
    own = [tensor.shape for tensor in model.state_dict().values()]
    return own != [tensor.shape for tensor in _built(model.spec).state_dict().values()]


def settled(model):
    """A copy whose batch norms have mean 0 and variance 1 - eps, all the rest in weight and bias: the same function."""
    import torch
    from torch import nn

    model = copy.deepcopy(model).eval()
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.affine:
            with torch.no_grad():
                slope = norm.weight / (norm.running_var + norm.eps).sqrt()
                norm.bias -= norm.running_mean * slope
                norm.weight.copy_(slope)
                norm.running_mean.zero_()
                norm.running_var.fill_(1 - norm.eps)
    return model


def read(path: Path):
    """The model of a packed file, in eval mode. Raises BadInput when the file is damaged or of another kind."""
    from edgebook.training.store import resize

    raw = Path(path).read_bytes()
    if not raw.startswith(MAGIC) or zlib.crc32(raw[:-4]) != struct.unpack("<I", raw[-4:])[0]:
        raise BadInput(f"{path}: is not a whole packed file (magic or checksum differ)")
    (n_head,) = struct.unpack_from("<H", raw, len(MAGIC))
    place = len(MAGIC) + 2 + n_head
    head = json.loads(zlib.decompress(raw[len(MAGIC) + 2 : place]))
    model = _built(head["spec"])
    state = model.state_dict()
    for index, (name, tensor) in enumerate(state.items()):
        shape = tuple(head["shapes"][index]) if "shapes" in head else tuple(tensor.shape)
        if tensor.is_floating_point():
            state[name], place = decode(raw, place, shape)
    if "sizes" in head:
        resize(model, head["sizes"], state)
    model.load_state_dict(state)
    return model.eval()


def _built(spec: dict):
    from edgebook.models import build_model
    from edgebook.models.batch_norm import fold

    model = build_model(spec["model"], tuple(spec["input_shape"]), spec["n_outputs"], **spec["shape"])
    return fold(model) if spec.get("folded") else model


def encode(values: np.ndarray) -> bytes:
    """A float32 array in its smallest exact form: a byte for the form, a byte for the bits, then the data."""
    forms = [form(values) for form in (_floats, _codebook, _grid)]
    return min((form for form in forms if form is not None), key=len)


def _floats(values: np.ndarray) -> bytes:
    half = fits_half(values)
    return struct.pack("<BB", FLOAT16 if half else FLOAT32, 0) + values.astype(np.float16 if half else np.float32).tobytes()


def _codebook(values: np.ndarray) -> bytes | None:
    levels, indices = np.unique(values, return_inverse=True)
    if not 0 < len(levels) <= 256:
        return None
    bits, half = (len(levels) - 1).bit_length(), fits_half(levels)
    book = levels.astype(np.float16 if half else np.float32).tobytes()
    head = struct.pack("<BBB", CODEBOOK16 if half else CODEBOOK32, bits, len(levels) - 1)
    return head + book + pack_bits(indices.reshape(-1), bits)


def _grid(values: np.ndarray) -> bytes | None:
    """Integers times one float16 scale for each output channel (axis 0), when that is exact."""
    if values.ndim < 2:
        return None
    flat = values.reshape(len(values), -1)
    found = [on_grid(channel) for channel in flat]
    if any(one is None for one in found):
        return None
    scales = np.array([scale for scale, _ in found], np.float16)
    q = np.stack([integers for _, integers in found])
    bits = max(2, int(np.abs(q).max()).bit_length() + 1)
    offset = 2 ** (bits - 1) - 1
    return struct.pack("<BB", GRID, bits) + scales.tobytes() + pack_bits((q + offset).reshape(-1), bits)


def on_grid(channel: np.ndarray, top: int = 127) -> tuple[float, np.ndarray] | None:
    """(scale, integers) with scale * integers == channel exactly and a float16 scale, the coarsest such grid; or None."""
    largest = float(np.abs(channel).max(initial=0.0))
    if largest == 0:
        return 1.0, np.zeros(channel.shape, np.int64)
    for steps in range(1, top + 1):
        scale = np.float32(np.float16(largest / steps))
        if scale == 0:
            return None
        q = np.round(channel / scale)
        if np.array_equal(q.astype(np.float32) * scale, channel):
            return float(scale), q.astype(np.int64)
    return None


def fits_half(values: np.ndarray) -> bool:
    """Whether float16 holds every value exactly."""
    with np.errstate(over="ignore"):
        return bool(np.array_equal(values.astype(np.float16).astype(np.float32), values))


def pack_bits(indices: np.ndarray, bits: int) -> bytes:
    """Indices (n,) as a stream of `bits` bits each, the last byte filled with zeros; nothing for 0 bits."""
    spread = (indices[:, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(spread.astype(np.uint8).reshape(-1)).tobytes()


def unpack_bits(raw: bytes, bits: int, n: int) -> np.ndarray:
    """The `n` indices of such a stream."""
    if bits == 0:
        return np.zeros(n, np.int64)
    spread = np.unpackbits(np.frombuffer(raw, np.uint8), count=n * bits).reshape(n, bits).astype(np.int64)
    return spread @ (1 << np.arange(bits - 1, -1, -1))


def decode(raw: bytes, place: int, shape: tuple[int, ...]):
    """The tensor whose record starts at `place`, and where the next one starts."""
    import torch

    form, bits = struct.unpack_from("<BB", raw, place)
    n, place = int(np.prod(shape)), place + 2
    if form in (FLOAT32, FLOAT16):
        kind = np.float16 if form == FLOAT16 else np.float32
        values, place = np.frombuffer(raw, kind, n, place), place + n * np.dtype(kind).itemsize
        return torch.from_numpy(values.astype(np.float32).reshape(shape)), place
    kind = np.float32 if form == CODEBOOK32 else np.float16
    n_levels = shape[0] if form == GRID else raw[place] + 1
    place += form != GRID
    levels, place = np.frombuffer(raw, kind, n_levels, place).astype(np.float32), place + n_levels * np.dtype(kind).itemsize
    n_bytes = (n * bits + 7) // 8
    indices = unpack_bits(raw[place : place + n_bytes], bits, n)
    if form == GRID:
        q = (indices - (2 ** (bits - 1) - 1)).reshape(n_levels, -1).astype(np.float32)
        values = q * levels[:, None]
    else:
        values = levels[indices]
    return torch.from_numpy(values.reshape(shape)), place + n_bytes


def precision(model) -> str:
    """How the weights of `convert`'s file are stored: fp32, codebook-4bit, int4-weight, mixed-4.2bit (mean over weights)."""
    bits, n, forms = 0.0, 0, set()
    for name, tensor in model.state_dict().items():
        if name.endswith("weight") and tensor.ndim > 1:
            record = encode(tensor.cpu().numpy())
            own = {FLOAT32: 32, FLOAT16: 16}.get(record[0], record[1])
            bits, n = bits + own * tensor.numel(), n + tensor.numel()
            forms.add(("float" if own >= 16 else "int" if record[0] == GRID else "codebook", own))
    if len(forms) == 1 and forms & {("float", 32), ("float", 16)}:
        return f"fp{int(bits / n)}"
    if len(forms) == 1:
        kind, own = forms.pop()
        return f"int{own}-weight" if kind == "int" else f"codebook-{own}bit"
    return f"mixed-{bits / max(n, 1):.1f}bit"


def preload() -> None:
    """Import the runtime: the memory that it takes before any file is loaded is not the file's."""


def load(path: Path, *, threads: int = 1) -> Program:
    """Decodes every weight to float and runs the net in eager PyTorch."""
    from edgebook.runtimes.torch import eager

    return eager(read(path), threads=threads)
