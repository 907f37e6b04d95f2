"""Parts on a belt: images of Fashion-MNIST by class, as a camera above a belt sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebook.tasks.extras import needed
from edgebook.tasks.fashion_mnist import NAMES, read_images

IMAGES = 300  # of each class


def write(folder: Path, random: np.random.Generator, size: float) -> None:
    """folder/<class>/<number>.png, grey, 28 x 28: light that changes, lines that the camera loses.

    Raises BadInput where Fashion-MNIST is not on this machine and cannot be downloaded.
    """
    pillow = needed("PIL.Image", extra="data", what="images")
    x, y = (part.numpy() for part in read_images()[:2])
    for number, name in enumerate(NAMES):
        place = folder / name.lower().replace("/", " or ").replace(" ", "_")
        place.mkdir(parents=True)
        for item in random.permutation(np.flatnonzero(y == number))[: max(10, round(IMAGES * size))].tolist():
            pillow.fromarray(_seen(random, x[item].astype(float))).save(place / f"{item:05}.png")


def _seen(random: np.random.Generator, image: np.ndarray) -> np.ndarray:
    slope = np.linspace(-1, 1, image.shape[1]) * random.uniform(-0.25, 0.25)
    image = image * (random.uniform(0.6, 1.1) + slope) + random.uniform(0, 30) + random.normal(0, 8, image.shape)
    if random.random() < 0.05:
        image[random.integers(image.shape[0])] = 0
    return image.clip(0, 255).astype(np.uint8)
