"""How long data of the user's own take to load: a table of 100,000 rows, 2,000 recordings, 10,000 images, cold and found again.

python benchmarks/loaders.py [--scale 1.0]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import wavfile

from edgebook.tasks import load_task

ROWS, COLUMNS, RECORDINGS, RATE, IMAGES = 100_000, 140, 2000, 16_000, 10_000


def table(folder: Path, random: np.random.Generator, scale: float) -> Path:
    """A CSV of ROWS x COLUMNS values with a label each."""
    rows = round(ROWS * scale)
    values, labels = random.normal(size=(rows, COLUMNS)).round(4), random.choice(["a", "b", "c"], rows)
    path = folder / "table.csv"
    with open(path, "w", encoding="utf-8") as file:
        file.write(",".join([*(f"f{number}" for number in range(COLUMNS)), "label"]) + "\n")
        file.writelines(",".join(map(str, row)) + f",{label}\n" for row, label in zip(values.tolist(), labels))
    return path


def recordings(folder: Path, random: np.random.Generator, scale: float) -> Path:
    """RECORDINGS of one second in two classes."""
    for number in range(round(RECORDINGS * scale)):
        place = folder / "recordings" / ("yes" if number % 2 else "no")
        place.mkdir(parents=True, exist_ok=True)
        wavfile.write(place / f"{number:05}.wav", RATE, random.integers(-9000, 9000, RATE, dtype=np.int16))
    return folder / "recordings"


def images(folder: Path, random: np.random.Generator, scale: float) -> Path:
    """IMAGES of 32 x 32 in two classes."""
    for number in range(round(IMAGES * scale)):
        place = folder / "images" / ("cat" if number % 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(place / f"{number:05}.png")
    return folder / "images"


def seconds(path: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one load."""
    wall, cpu = time.perf_counter(), time.process_time()
    load_task(str(path))
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    scale = parser.parse_args().scale
    makers: list[Callable[[Path, np.random.Generator, float], Path]] = [table, recordings, images]
    with tempfile.TemporaryDirectory(prefix="edgebook-") as folder:
        os.environ["EDGEBOOK_STORE"] = str(Path(folder) / "store")
        for make in makers:
            path = make(Path(folder), np.random.default_rng(0), scale)
            for when in ("first", "again"):
                wall, cpu = seconds(path)
                print(f"{make.__name__:>10} {when:>5}: {wall:6.2f} s, {cpu:6.2f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
