"""Handwritten digits of 8 x 8 pixels, part of scikit-learn."""

from __future__ import annotations

from typing import Any

import torch

from edgebook.tasks.augment import shift
from edgebook.tasks.splits import split_validation, stratified_mask
from edgebook.tasks.task import Task


def digits() -> Task:
    """1,797 images, x (n, 1, 8, 8) in [0, 1]: a fixed stratified fifth for test, a tenth of the rest for validation.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, doi 10.24432/C50P49.
    """
    from sklearn.datasets import load_digits  # half a second

    data: Any = load_digits()
    x = torch.from_numpy(data.images).float().unsqueeze(1) * (1 / 16)  # raw pixels are 0..16
    y = torch.from_numpy(data.target).long()
    test = stratified_mask(y, len(y) // 5)
    return Task(
        "digits",
        *split_validation(x[~test], y[~test]),
        x[test],
        y[test],
        class_names=tuple("0123456789"),
        augment=shift,
        preprocess={"raw": "8 x 8 grey levels, 0..16", "scale": 1 / 16, "offset": 0.0},
        licence="CC BY 4.0",
        source="https://archive.ics.uci.edu/dataset/80 by way of sklearn.datasets.load_digits",
    )
