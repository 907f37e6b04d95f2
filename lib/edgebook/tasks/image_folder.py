"""The user's own images: a folder for each class, or images with masks of the same names beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, line_of
from edgebook.tasks.description import Description
from edgebook.tasks.folder import Listing, listed, with_groups
from edgebook.tasks.images import EXTENSIONS, items_of, open_image, raw_of, read_images
from edgebook.tasks.items import Items

IMAGES, MASKS = "images", "masks"


def read(path: Path, description: Description) -> Items:
    """Images by class, x (n, channels, height, width) in 0..255."""
    listing = listed(path, EXTENSIONS, description)
    return items_of(lambda number: open_image(listing.path(number)), listing, description)


def read_with_masks(path: Path, description: Description) -> Items:
    """images/NAME and masks/NAME, the extension aside: the classes of pixels are the values in the masks."""
    folders = [path / IMAGES, path / MASKS]
    images, masks = (
        {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in EXTENSIONS} for folder in folders
    )
    if alone := sorted(images.keys() ^ masks.keys()):
        where = IMAGES if alone[0] in images else MASKS
        raise BadInput(f"{path}: {alone[0]} is in {where} alone; allowed: an image and a mask of each name")
    names = list(images)
    if not names:
        raise BadInput(f"{path}: has no images; allowed: {', '.join(EXTENSIONS)}")
    x, broken, made = read_images(lambda n: open_image(images[names[n]]), len(names), description.image, str(path), broken={})
    labels = np.zeros((len(names), *x.shape[2:]), np.uint8)
    for number, name in enumerate(names):
        if number not in broken:
            reason = _fill(labels[number], masks[name], is_resized=description.image.size is not None)
            broken |= {number: reason} if reason else {}
    listing = Listing(path, [f"{IMAGES}/{images[name].name}" for name in names], labels)
    listing = with_groups(listing, description.group) if description.group else listing
    broken |= listing.broken
    return Items(x, labels, lambda number: names[number], raw_of(x), listing.groups, broken=broken, settings=made)


def _fill(labels: np.ndarray, path: Path, *, is_resized: bool) -> str | None:
    """Write the values of a mask into `labels` (height, width); what is wrong with it, None when nothing is."""
    try:
        mask = open_image(path)
        mask.load()
    except (OSError, ValueError, SyntaxError) as error:
        return f"has a mask that cannot be read: {(line_of(str(error)) or type(error).__name__)[:100]}"
    if mask.mode not in ("1", "L", "P"):
        return f"has a mask of mode {mask.mode}, where one number for each pixel is needed (grey or palette)"
    if (mask.height, mask.width) != labels.shape:
        if not is_resized:
            return f"has a mask of {mask.height} x {mask.width}, the image is {labels.shape[0]} x {labels.shape[1]}"
        mask = mask.resize(labels.shape[::-1], 0)  # nearest: classes have no values between them
    labels[:] = np.asarray(mask, np.uint8)
    return None
