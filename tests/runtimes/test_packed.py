"""Packed files: every tensor exactly, in the fewest bits; nothing in a file is code to import."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np
import pytest
import torch

from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.models.batch_norm import fold, without_statistics
from edgebook.runtimes.packed import format as packed
from edgebook.runtimes.packed.export import convert, precision
from edgebook.runtimes.packed.load import MAGIC, load, read
from edgebook.training.loop import infer
from edgebook.vocabulary import precision as precision_record

EXAMPLE = torch.zeros(2, 1, 8, 8)


def shared(model, n_levels):
    """The model with at most `n_levels` float16 values in each weight."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            levels = torch.linspace(parameter.data.min().item(), parameter.data.max().item(), n_levels).half().float()
            parameter.data = levels[(parameter.data[..., None] - levels).abs().argmin(-1)]
    return model


@pytest.fixture
def net():
    torch.manual_seed(0)
    return build_model("resnet8", (1, 8, 8), 10, widths=(8, 16, 16)).eval()


@pytest.mark.parametrize("n_levels", [1, 2, 3, 16, 256])
def test_a_file_round_trips_exactly(net, n_levels, tmp_path):
    model = without_statistics(shared(net, n_levels))
    columns = convert(model, EXAMPLE, tmp_path / "net.pack")
    state = read(tmp_path / "net.pack").state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    if n_levels <= 16:  # a codebook of more values than a small layer has weights does not pay
        assert columns["precision"] == f"codebook-{(n_levels - 1).bit_length()}bit"
    x = torch.randn(5, 1, 8, 8)
    np.testing.assert_allclose(load(tmp_path / "net.pack").predict(x.numpy()), infer(net, x).numpy(), atol=1e-4)


def test_pruned_and_folded_networks_round_trip(net, tmp_path):
    tp = pytest.importorskip("torch_pruning")
    importance, example = tp.importance.MagnitudeImportance(), torch.zeros(1, 1, 8, 8)
    tp.pruner.BasePruner(net, example, importance, pruning_ratio=0.5, ignored_layers=[net.linear]).step()
    x = torch.randn(5, 1, 8, 8)
    for model in (net, fold(net)):
        convert(model, EXAMPLE, tmp_path / "net.pack")
        np.testing.assert_allclose(infer(read(tmp_path / "net.pack"), x).numpy(), infer(net, x).numpy(), atol=1e-4)


def test_the_precision_is_counted(net):
    assert precision(net) == "fp32"
    assert precision(shared(net, 16)) == "codebook-4bit"
    weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    for weight in weights:
        scale = torch.rand(len(weight)).half().float() / 32
        weight.data = torch.randint(-7, 8, weight.shape) * scale.half().float().reshape(-1, *[1] * (weight.ndim - 1))
    assert precision(net) == "int4-weight"
    first = weights[0]
    first.data = torch.randn(first.shape)
    rest = sum(weight.numel() for weight in weights[1:])
    bits = (32 * first.numel() + 4 * rest) / (first.numel() + rest)
    assert precision(net) == f"mixed-{bits:.1f}bit"
    for name in (precision(net), "int4-weight", "codebook-4bit"):
        assert precision_record(name).name == name


@pytest.mark.parametrize("bits", range(9))
def test_bits_round_trip_in_the_fewest_bytes(bits):
    indices = np.random.default_rng(bits).integers(0, 2**bits, 1001)
    assert np.array_equal(packed.unpack_bits(packed.pack_bits(indices, bits), bits, 1001), indices)
    assert len(packed.pack_bits(indices, bits)) == -(-1001 * bits // 8)


def rewritten(path, spec):
    """The file with another spec in its header, and a checksum that fits."""
    raw = path.read_bytes()
    (size,) = struct.unpack_from("<H", raw, len(MAGIC))
    head = json.loads(zlib.decompress(raw[len(MAGIC) + 2 : len(MAGIC) + 2 + size]))
    head["spec"] |= spec
    new = zlib.compress(json.dumps(head).encode())
    content = MAGIC + struct.pack("<H", len(new)) + new + raw[len(MAGIC) + 2 + size : -4]
    path.write_bytes(content + struct.pack("<I", zlib.crc32(content)))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"model": "os:system"}, "model 'os:system' is not allowed to run"),
        ({"wrappers": [{"name": "os:system"}]}, "wrapper 'os:system' is unknown; known: fake_quantized"),
        ({"model": "mine.py:net"}, "is not allowed to run"),
    ],
)
def test_a_file_that_names_code_is_refused(spec, says, net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEBOOK_NETWORKS", "")
    (tmp_path / "mine.py").write_text("open('ran', 'w').close()")
    convert(net, EXAMPLE, tmp_path / "net.pack")
    rewritten(tmp_path / "net.pack", spec)
    with pytest.raises(BadInput, match=says):
        load(tmp_path / "net.pack")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: b"PK" + raw, lambda raw: raw[:40] + b"?" + raw[41:]])
def test_a_damaged_file_is_bad_input(net, tmp_path, damage):
    convert(net, EXAMPLE, tmp_path / "net.pack")
    (tmp_path / "net.pack").write_bytes(damage((tmp_path / "net.pack").read_bytes()))
    with pytest.raises(BadInput, match="is not a whole packed file"):
        read(tmp_path / "net.pack")
