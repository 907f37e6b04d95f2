"""A data set in memory, split once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from edgebook.metrics import METRICS, Metric
from edgebook.metrics.alarms import alarms
from edgebook.tasks.kinds import KINDS, Kind

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Task:
    """Fit on train, choose on val, report on test.

    x_* are float32 (n, *input_shape); y_* are what the kind needs: class numbers int64 (n,), values float32 (n, k), class
    numbers per pixel int64 (n, H, W), or, for anomaly detection, 0 (normal) and 1 in val and test.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_val: Tensor
    y_val: Tensor
    x_test: Tensor
    y_test: Tensor
    class_names: tuple[str, ...] = ()
    kind_name: str = "classification"
    metric_name: str = ""  # the kind's own when empty
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None
    preprocess: dict = field(default_factory=dict)  # raw -> x as data (scale, offset), so that it can travel with a file
    licence: str = "unknown"
    source: str = "unknown"
    groups: dict[str, np.ndarray] = field(default_factory=dict)  # split -> whom each item is from, (n,), where that is known
    class_weights: tuple[float, ...] = ()  # of each class in the loss; all the same when empty
    item_seconds: float | None = None  # duration of an item, where items are windows of a stream
    background: tuple[int, ...] = ()  # classes that are no event; with item_seconds, alarms and misses per hour are counted
    description: dict = field(default_factory=dict)  # how the user's own files were read, as a description file has it
    notes: tuple[str, ...] = ()  # what was left out or assumed, in sentences

    @property
    def kind(self) -> Kind:
        """What the outputs mean: loss (with the class weights of this task), predictions, metric."""
        kind = KINDS[self.kind_name]
        return replace(kind, loss=partial(kind.loss, class_weights=self.class_weights)) if self.class_weights else kind

    @property
    def metric(self) -> Metric:
        """What a score is on this task, and what is told beside it."""
        metric = METRICS[self.metric_name or self.kind.metric]
        if not (self.background and self.item_seconds):
            return metric
        rates = partial(alarms, background=self.background, seconds=self.item_seconds)
        return replace(metric, details=lambda outputs, y: {**metric.details(outputs, y), **rates(outputs, y)})

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one item, without the batch: (C, H, W) for images, (C, T) for sequences."""
        return tuple(self.x_train.shape[1:])

    @property
    def n_outputs(self) -> int:
        """What a model's builder is told: classes, values, or numbers to reconstruct."""
        return self.kind.n_outputs(self.class_names, self.x_train, self.y_train)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over kind, metric, class weights and all six tensors: two tasks with the same data have the same one."""
        weights = f" {self.class_weights}" if self.class_weights else ""
        digest = hashlib.sha256(f"{self.kind_name} {self.metric.name}{weights}".encode())
        for tensor in (self.x_train, self.y_train, self.x_val, self.y_val, self.x_test, self.y_test):
            digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


def draw_items(n: int, most: int, seed: int) -> Tensor:
    """Indices of at most `most` of `n` items in random order, (k,): the same ones for the same seed."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:most]


def spread_items(n: int, most: int) -> Tensor:
    """Indices of at most `most` of `n` items, evenly spread over them, (k,): data in the order of their classes keep all."""
    return torch.linspace(0, n - 1, min(n, most)).round().long()
