"""The user's own data, by their form on disk: a reader each, named in FORMATS with the fields of a description that it takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from edgebook.errors import BadInput
from edgebook.registry import resolve
from edgebook.tasks import audio_folder, images
from edgebook.tasks.assemble import assemble
from edgebook.tasks.description import Description, check_used, describe
from edgebook.tasks.image_folder import IMAGES, MASKS
from edgebook.tasks.task import Task

OF_EVERY = ("path", "kind", "metric", "classes", "normal", "test_share", "val_share", "class_weights", "broken", "augment")
OF_EVERY += ("standardize",)
OF_TABLES = ("label", "features", "ignore", "channels", "item", "time", "length", "group", "split")
OF_FOLDERS = ("group", "items")
N_SEEN = 1000  # files that are looked at to tell what a folder holds


@dataclass(frozen=True)
class Format:
    """read: "module:function" of (path, description) -> Items. fields: of a description, beside those that every format takes.

    standardize: whether each channel is brought to mean 0 and deviation 1 where the description does not say.
    """

    read: str
    fields: tuple[str, ...] = ()
    standardize: bool = True
    what: str = ""  # for people


FORMATS = {
    "npz": Format("edgebook.tasks.npz:read", (), standardize=False, what="arrays in an .npz file"),
    "csv": Format("edgebook.tasks.table:read", (*OF_TABLES, "header"), what="a table as text"),
    "parquet": Format("edgebook.tasks.table:read", OF_TABLES, what="a Parquet table"),
    "recordings": Format("edgebook.tasks.audio_folder:read", (*OF_FOLDERS, "audio", "background"), what="a folder of recordings"),
    "images": Format("edgebook.tasks.image_folder:read", (*OF_FOLDERS, "image"), what="a folder of images"),
    "masks": Format("edgebook.tasks.image_folder:read_with_masks", ("group", "image"), what="a folder of images with masks"),
    "huggingface": Format(
        "edgebook.tasks.huggingface:read",
        (*OF_TABLES, "image", "audio", "background"),
        what="a data set of Hugging Face's library",
    ),
}
EXTENSIONS = {".npz": "npz", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}


def load_path(name: str, **settings: Any) -> Task:
    """The Task made of a file or folder with data, or of those that a description names; `settings` win over it.

    Raises BadInput, one line that begins with the file.
    """
    description = describe(name, **settings)
    return load(description, name)


def load(description: Description, name: str) -> Task:
    """The Task of a description; `name` is what the task is called after."""
    path = Path(description.path)
    form = FORMATS[format_of(path)]
    check_used(description, frozenset((*OF_EVERY, *form.fields)), str(name))
    items = resolve(form.read)(path, description)
    standardize = form.standardize or items.is_raw if description.standardize is None else description.standardize
    return assemble(items, description, name, str(path), standardize=standardize)


def format_of(path: Path) -> str:
    """The name in FORMATS of what lies there. Raises BadInput for what is absent or of no known form."""
    known = ", ".join(EXTENSIONS)
    if not path.exists():
        raise BadInput(f"task {path}: no such file or folder; allowed: {known}, or a folder")
    if path.is_dir():
        return _format_of_folder(path)
    if path.suffix.lower() not in EXTENSIONS:
        raise BadInput(f"task {path}: extension {path.suffix!r} is unknown; allowed: {known}, or a folder")
    return EXTENSIONS[path.suffix.lower()]


def _format_of_folder(path: Path) -> str:
    """By names that only one form has, else by most of its first files."""
    if any((path / name).is_file() for name in ("dataset_info.json", "dataset_dict.json")):
        return "huggingface"
    if all((path / name).is_dir() for name in (IMAGES, MASKS)):
        return "masks"
    seen = Counter(file.suffix.lower() for file in islice(path.rglob("*"), N_SEEN) if file.is_file())
    counts = {
        "recordings": sum(seen[extension] for extension in audio_folder.EXTENSIONS),
        "images": sum(seen[extension] for extension in images.EXTENSIONS),
    }
    if not any(counts.values()):
        given = ", ".join(extension or "no extension" for extension, _ in seen.most_common(3)) or "no files"
        allowed = "folders of classes with recordings or images, images/ and masks/, or what datasets.save_to_disk wrote"
        raise BadInput(f"task {path}: the folder has {given}; allowed: {allowed}")
    return max(counts, key=lambda name: counts[name])
