"""Image files -> arrays. Pillow reads them; what is truncated, or so large that it cannot be meant, is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import line_of
from edgebook.tasks.description import Description, ImageSettings
from edgebook.tasks.extras import needed
from edgebook.tasks.folder import Listing
from edgebook.tasks.items import Items, check_memory

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
MOST_PIXELS = 50_000_000
MODES = {"grey": "L", "rgb": "RGB"}


def items_of(opened: Callable[[int], Any], listing: Listing, description: Description) -> Items:
    """The images of a listing, x (n, channels, height, width) in 0..255. opened: see `read_images`."""
    names = listing.names
    x, broken, made = read_images(opened, len(names), description.image, str(listing.folder), broken=listing.broken)
    return Items(
        x,
        listing.labels,
        lambda number: names[number],
        raw_of(x),
        listing.groups,
        listing.splits,
        broken=broken,
        settings=made,
        class_names=listing.class_names,
        notes=listing.notes,
    )


def read_images(
    opened: Callable[[int], Any], n: int, settings: ImageSettings, where: str, *, broken: Mapping[int, str]
) -> tuple[np.ndarray, dict[int, str], dict[str, Any]]:
    """(x float32 (n, channels, height, width) in 0..255, number of an image -> what is wrong with it, how they were made).

    opened: number of an image -> a Pillow image that is not loaded yet, or an exception. Without a size all must have that of
    the first good one; without a mode they are grey where that one is. broken: what is known to be, and is not opened.
    """
    broken = dict(broken)
    x, size, mode = None, settings.size, settings.mode
    for number in range(n):
        if number in broken:
            continue
        try:
            image = _whole(opened(number))
        except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all of these
            broken[number] = f"cannot be read: {(line_of(str(error)) or type(error).__name__)[:100]}"
            continue
        if x is None:
            size, mode = size or [image.height, image.width], mode or ("grey" if image.mode in ("1", "L", "I;16") else "rgb")
            shape = (n, 3 if mode == "rgb" else 1, *size)
            check_memory(shape, where)
            x = np.zeros(shape, np.float32)
        if settings.size is None and [image.height, image.width] != size:
            broken[number] = f"is {image.height} x {image.width}, others {size[0]} x {size[1]} (image: size brings them to one)"
            continue
        x[number] = pixels(image, size, mode)
    made = {"image": {"height_width": size, "mode": mode, "resized": "bilinear, antialiased" if settings.size else None}}
    return (np.zeros((n, 1, 1, 1), np.float32) if x is None else x), broken, made


def raw_of(x: np.ndarray) -> str:
    """What the values of x (n, channels, height, width) are."""
    return f"{'grey levels' if x.shape[1] == 1 else 'red, green, blue'}, 0..255"


def open_image(path: Path) -> Any:
    """A Pillow image, not loaded yet."""
    return needed("PIL.Image", extra="data", what="images").open(path)


def pixels(image: Any, size: list[int], mode: str) -> np.ndarray:
    """A Pillow image as float32 (channels, height, width) in 0..255."""
    pillow = needed("PIL.Image", extra="data", what="images")
    if image.mode.startswith("I"):  # 16 bits per pixel, which Pillow would clip to 255
        image = pillow.fromarray((np.asarray(image, np.float32) / 257).clip(0, 255), "F")
        image = image.convert("L") if mode == "rgb" else image
    if image.mode != "F":
        image = image.convert(MODES[mode])
    if [image.height, image.width] != size:
        image = image.resize((size[1], size[0]), pillow.Resampling.BILINEAR)
    array = np.asarray(image.convert("RGB") if mode == "rgb" else image, np.float32)
    return np.moveaxis(array, 2, 0) if array.ndim == 3 else array[None]


def _whole(image: Any) -> Any:
    """The image, loaded and upright. Raises ValueError for one that is too large."""
    operations = needed("PIL.ImageOps", extra="data", what="images")
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"{image.height} x {image.width} pixels; at most {MOST_PIXELS} are read")
    image.load()
    return operations.exif_transpose(image)
