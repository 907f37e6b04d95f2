"""Progression of diabetes from ten measurements of a patient: a small regression, part of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from edgebook.tasks.splits import split_validation, stratified_mask
from edgebook.tasks.task import Task

MEAN, STD = 152.13, 77.09  # of the progression, all 442 patients
SCALE = 442**0.5  # scikit-learn's columns have a sum of squares of 1


def diabetes() -> Task:
    """442 patients, x (n, 10) and y (n, 1), both of mean 0 and deviation 1: a fifth for test, a fifth of the rest for validation.

    Source: Efron, Hastie, Johnstone and Tibshirani 2004, Least angle regression, Annals of Statistics 32:407.
    """
    from sklearn.datasets import load_diabetes  # half a second

    data: Any = load_diabetes()
    x = torch.from_numpy((data.data * SCALE).astype(np.float32))
    y = torch.from_numpy(((data.target - MEAN) / STD).astype(np.float32)).unsqueeze(1)
    test = stratified_mask(y, len(y) // 5)
    return Task(
        "diabetes",
        *split_validation(x[~test], y[~test], fraction=0.2),
        x[test],
        y[test],
        kind_name="regression",
        preprocess={"raw": "ten columns as scikit-learn has them, sum of squares 1", "scale": SCALE, "offset": 0.0},
        licence="not stated; distributed with scikit-learn (BSD-3-Clause)",
        source="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html by way of sklearn.datasets.load_diabetes",
    )
