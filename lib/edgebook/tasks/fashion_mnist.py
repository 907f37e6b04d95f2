"""Fashion-MNIST: ten sorts of clothing, 28 x 28 grey levels."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import numpy as np
import torch

from edgebook.errors import BadInput
from edgebook.tasks.augment import shift_flip
from edgebook.tasks.splits import split_validation
from edgebook.tasks.task import Task

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
MEAN, STD = 0.2860, 0.3530  # of the 60,000 training images, grey levels as 0..1
NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def fashion_mnist() -> Task:
    """60,000 training images (5,000 of them for validation) and 10,000 test images, x (n, 1, 28, 28), normalised.

    Read from the folder EDGEBOOK_DATA, Debian's package, or a verified download kept in the user's cache.
    Raises BadInput when none of these has the files. Source: Xiao et al., arXiv 1708.07747.
    """
    x, y, x_test, y_test = read_images()
    scale, offset = 1 / (255 * STD), -MEAN / STD
    x_train, y_train, x_val, y_val = split_validation(x, y.long())
    x_train, x_val, x_test = (part.unsqueeze(1).float().mul_(scale).add_(offset) for part in (x_train, x_val, x_test))
    return Task(
        "fashion_mnist",
        x_train,
        y_train,
        x_val,
        y_val,
        x_test,
        y_test.long(),
        class_names=NAMES,
        augment=shift_flip,
        preprocess={"raw": "28 x 28 grey levels, 0..255", "scale": scale, "offset": offset},
        licence="MIT",
        source="https://github.com/zalandoresearch/fashion-mnist",
    )


def read_images() -> tuple[torch.Tensor, ...]:
    """Images uint8 (60000, 28, 28), labels (60000,), and the same of the 10,000 for test. Raises BadInput where they are not."""
    folder = local_folder() or _download()
    return tuple(read_idx(folder / name) for name in MD5)


def local_folder() -> Path | None:
    """The first folder that holds all four files: EDGEBOOK_DATA, Debian's, the download cache; None without one."""
    given = os.environ.get("EDGEBOOK_DATA")
    folders = [Path(given).expanduser()] if given else []
    return next((f for f in (*folders, DEBIAN, _cache()) if all((f / name).is_file() for name in MD5)), None)


def read_idx(file: Path) -> torch.Tensor:
    """A gzip IDX file as uint8, in the shape that its header states. Raises BadInput for anything else."""
    try:
        raw = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{file} cannot be read: {error}; allowed: a gzip IDX file of Fashion-MNIST") from error
    n_dims = raw[3] if raw[:3] == b"\0\0\x08" else 0  # two zeros, 8 for uint8, the number of dimensions
    shape = tuple(np.frombuffer(raw, ">u4", n_dims, 4)) if len(raw) >= 4 + 4 * n_dims else ()
    if not shape or len(raw) != 4 + 4 * n_dims + np.prod(shape, dtype=np.int64):
        raise BadInput(f"{file} is not a whole IDX file of bytes; allowed: a gzip IDX file of Fashion-MNIST")
    pixels = np.frombuffer(raw, np.uint8, offset=4 + 4 * n_dims)
    return torch.from_numpy(pixels.reshape(tuple(int(side) for side in shape)).copy())


def _cache() -> Path:
    import pooch

    return pooch.os_cache("edgebook") / "fashion-mnist"


def _download() -> Path:
    """The cache folder with all four files in it, each checked against its MD5."""
    import pooch

    try:
        for name, md5 in MD5.items():
            pooch.retrieve(URL + name, known_hash=f"md5:{md5}", fname=name, path=_cache())
    except (OSError, ValueError) as error:  # no network, or not the published file
        reason = str(error).splitlines()[0][:120]
        raise BadInput(
            f"fashion_mnist is not on this machine and {URL} gave none ({type(error).__name__}: {reason}); either "
            "apt-get install dataset-fashion-mnist, or put its four .gz files in a folder and set EDGEBOOK_DATA to it"
        ) from error
    return _cache()
