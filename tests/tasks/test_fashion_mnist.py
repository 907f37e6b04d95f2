"""Fashion-MNIST's files: where they are looked for, and what is said of broken or absent ones."""

import gzip
import struct

import numpy as np
import pytest

from edgebook.errors import BadInput
from edgebook.tasks import fashion_mnist, load_task


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


def test_fashion_mnist_reads_the_folder_in_edgebook_data(tmp_path, monkeypatch):
    rng, labels = np.random.default_rng(0), np.arange(40) % 10
    images = rng.integers(0, 256, (40, 28, 28))
    for part, n in (("train", 40), ("t10k", 20)):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images[:n]))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(labels[:n]))
    monkeypatch.setenv("EDGEBOOK_DATA", str(tmp_path))
    task = load_task("fashion_mnist")
    assert (len(task.x_train), len(task.x_val), len(task.x_test)) == (36, 4, 20)
    assert task.y_test.tolist() == labels[:20].tolist()
    expected = (images[:20, None] / 255 - 0.2860) / 0.3530
    np.testing.assert_allclose(task.x_test.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    "content",
    [b"", b"plain", gzip.compress(b"abc"), idx(np.zeros((2, 3)))[:-12], gzip.compress(b"\0\0\x08\x01\0\0\0\x05four")],
    ids=["empty", "not_gzip", "no_header", "cut_gzip", "too_few_bytes"],
)
def test_a_broken_idx_file_is_bad_input(tmp_path, content):
    file = tmp_path / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=r"t10k-labels-idx1-ubyte\.gz"):
        fashion_mnist.read_idx(file)


@pytest.mark.parametrize("error", [OSError("no network"), ValueError("MD5 hash does not match\nsecond line")])
def test_fashion_mnist_without_data_or_network_says_how_to_get_it(tmp_path, monkeypatch, error):
    def no_download(*args, **kwargs):
        raise error

    monkeypatch.setattr("pooch.retrieve", no_download)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / project)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("EDGEBOOK_DATA", str(tmp_path))
    with pytest.raises(BadInput) as caught:
        load_task("fashion_mnist")
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in ("apt-get install dataset-fashion-mnist", "EDGEBOOK_DATA", str(error)[:8]))
