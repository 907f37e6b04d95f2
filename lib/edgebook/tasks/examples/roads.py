"""Views of a road, generated: the light of each drive is its own; shadows and worn markings make it hard."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebook.tasks.extras import needed

HEIGHT, WIDTH = 32, 48
N_DRIVES = 20
VIEWS = 30  # of each drive
GROUND, ROAD, MARKING = 0, 1, 2


def write(folder: Path, random: np.random.Generator, size: float) -> None:
    """folder/images/drive<number>_<view>.png, grey, and folder/masks/ with the class of each pixel: ground, road, marking."""
    pillow = needed("PIL.Image", extra="data", what="images")
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for drive in range(max(10, round(N_DRIVES * size))):
        light, noise = random.uniform(0.35, 1.0), random.uniform(4, 14)
        for view in range(max(5, round(VIEWS * size))):
            image, mask = _view(random, light, noise)
            for name, array in (("images", image), ("masks", mask)):
                pillow.fromarray(array).save(folder / name / f"drive{drive:02}_{view:03}.png")


def _view(random: np.random.Generator, light: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """(image, mask), uint8 (HEIGHT, WIDTH): a road that narrows towards the horizon and bends there."""
    down, across = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    horizon = random.uniform(6, 12)
    depth = ((down - horizon) / (HEIGHT - horizon)).clip(0, 1)  # 0 at the horizon, 1 at the car
    bend, shift = random.uniform(-14, 14), random.uniform(-5, 5)
    centre = WIDTH / 2 + shift * depth + bend * (1 - depth) ** 2
    half = 1.5 + random.uniform(14, 21) * depth
    offset = np.abs(across - centre)
    is_road = (offset < half) & (down > horizon)
    is_edge = is_road & (np.abs(offset - 0.86 * half) < 0.3 + 0.05 * half)
    dashes = np.sin(random.uniform(0, 6) + 9 / (depth + 0.15)) > 0
    mask = np.where(is_road, ROAD, GROUND)
    mask[is_edge | (is_road & (offset < 0.3 + 0.05 * half) & dashes)] = MARKING
    texture = random.normal(0, 6, (HEIGHT, WIDTH))
    worn = random.uniform(0.5, 1)  # of the markings' contrast
    image = np.choose(mask, [random.uniform(70, 140) + 2 * texture, random.uniform(60, 100) + texture, 90 + 130 * worn + texture])
    image = np.where(down <= horizon, random.uniform(120, 210), image)
    shadow = np.abs(across - random.uniform(0, WIDTH) - random.uniform(-1, 1) * down) < random.uniform(0, 9)
    image = image * np.where(shadow, 0.6, 1) * light + random.normal(0, noise, image.shape)
    if random.random() < 0.1:  # low sun
        image += 120 * np.exp(-((across - random.uniform(0, WIDTH)) ** 2 + (down - horizon) ** 2) / 60)
    return image.clip(0, 255).astype(np.uint8), mask.astype(np.uint8)
