"""Segmentation: one of several classes per pixel, from logits (n, classes, H, W)."""

from __future__ import annotations

import numpy as np

from edgebook.metrics.segmentation import class_map
from edgebook.tasks.kinds.classification import cross_entropy, softened_divergence
from edgebook.tasks.kinds.kind import Kind


def largest_class_per_pixel(outputs: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Class of each pixel, int16 (n, H, W)."""
    return class_map(outputs)


def same_pixels(outputs: np.ndarray, reference: np.ndarray) -> float:
    """Share of the pixels of all items that get the same class from both."""
    return float((class_map(outputs) == class_map(reference)).mean())


SEGMENTATION = Kind(
    name="segmentation",
    metric="mean_iou",
    loss=cross_entropy,
    soft_loss=softened_divergence,
    predict=largest_class_per_pixel,
    agreement=same_pixels,
    n_outputs=lambda class_names, x, y: len(class_names),
)
