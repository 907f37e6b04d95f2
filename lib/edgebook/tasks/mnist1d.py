"""MNIST-1D: ten digits as 40-step signals, generated here exactly as published."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from edgebook.tasks.augment import shift_jitter
from edgebook.tasks.splits import split_validation
from edgebook.tasks.task import Task


def mnist1d() -> Task:
    """4,000 training signals (400 of them for validation) and 1,000 test signals, x (n, 1, 40); about 2 seconds.

    Source: Greydanus and Kobak, Scaling down deep learning with MNIST-1D, arXiv 2011.14439.
    """
    with _rng_untouched():
        from mnist1d.data import get_dataset_args, make_dataset  # imports matplotlib

        data = make_dataset(get_dataset_args())
    x, x_test = (torch.from_numpy(data[key]).float().unsqueeze(1) for key in ("x", "x_test"))
    y, y_test = (torch.from_numpy(data[key]).long() for key in ("y", "y_test"))
    return Task(
        "mnist1d",
        *split_validation(x, y),
        x_test,
        y_test,
        class_names=tuple("0123456789"),
        preprocess={"raw": "signal of 40 steps, as published (mean 0, deviation 1)", "scale": 1.0, "offset": 0.0},
        augment=shift_jitter,
        licence="Apache-2.0",
        source="https://github.com/greydanus/mnist1d",
    )


@contextmanager
def _rng_untouched() -> Iterator[None]:
    """The generator seeds the global generators: a run's own draws must not depend on when data were loaded."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
