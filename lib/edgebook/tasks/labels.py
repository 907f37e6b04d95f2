"""Labels of the user's own data -> the targets of each kind of task. TARGETS names the ways; a kind says which is its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgebook.errors import BadInput
from edgebook.registry import pick
from edgebook.tasks.description import Description
from edgebook.tasks.items import Items
from edgebook.tasks.kinds import KINDS

MOST_CLASSES = 10_000
MOST_PIXEL_CLASSES = 64
FEW = 50  # different whole numbers, up to which a label is a class without being told


@dataclass(frozen=True)
class Targets:
    """y: int64 (n,), float32 (n, k) or int64 (n, H, W). class_names: of the numbers in y; labels: what each was in the data."""

    y: np.ndarray
    class_names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def kind_of(items: Items, description: Description, where: str) -> str:
    """The kind of task: as described, else as the labels show. Raises BadInput where they leave it open."""
    if description.kind or items.kind:
        pick(KINDS, description.kind or items.kind, f"{where}: kind")
        return description.kind or items.kind
    labels = items.labels
    if labels.ndim == 3:
        return "segmentation"
    if labels.dtype.kind == "f" and (labels.ndim == 2 or (labels != np.round(labels)).any()):
        return "regression"
    n_different = len(np.unique(labels)) if labels.dtype.kind in "iuf" else 0
    if labels.ndim > 1 or n_different > max(FEW, len(labels) // 20) or labels.dtype.kind == "f":
        given = f"{n_different} different numbers (dtype {labels.dtype}, shape {labels.shape})"
        raise BadInput(f"{where}: the labels are {given}; allowed: kind: classification or kind: regression, to tell which")
    return "classification"


def classes(items: Items, description: Description, where: str) -> Targets:
    """Class numbers, int64 (n,): labels in alphabetical order, whole numbers by size, or as `classes` lists them."""
    if items.labels.ndim != 1 or items.labels.dtype.kind not in "iubU":
        given = f"of dtype {items.labels.dtype}, shape {items.labels.shape}"
        raise BadInput(f"{where}: the labels are {given}; allowed: one text or whole number for each item")
    present, numbers = np.unique(items.labels, return_inverse=True)
    if len(present) > MOST_CLASSES:
        raise BadInput(f"{where}: {len(present)} different labels; allowed: {MOST_CLASSES}, or kind: regression")
    texts = [str(label) for label in present.tolist()]
    if items.class_names:
        return _numbered(items, numbers, present, where)
    names = _names(texts, description, where, lambda text: items.place(int(np.argmax(numbers == texts.index(text)))))
    order = list(dict.fromkeys(names.values()))
    table = np.array([order.index(names[text]) for text in texts])
    raw = tuple(" or ".join(text for text in texts if names[text] == name) for name in order)
    return Targets(table[numbers].astype(np.int64), tuple(order), raw)


def values(items: Items, description: Description, where: str) -> Targets:
    """Values, float32 (n, k)."""
    if items.labels.dtype.kind not in "iuf":
        texts = [(number, text) for number, text in enumerate(items.labels.ravel().tolist()) if not _is_number(text)]
        for number, text in texts[:1]:
            place = items.place(number // max(1, items.labels[0].size))
            raise BadInput(f"{where}: {place} has the label {str(text)!r:.40}; allowed: numbers, as kind is regression")
    with np.errstate(over="ignore"):
        y = items.labels.reshape(len(items.labels), -1).astype(np.float32)
    if not np.isfinite(y).all():
        place = items.place(int(np.argmin(np.isfinite(y).all(1))))
        raise BadInput(f"{where}: {place} has a target that is NaN or infinite as float32; allowed: finite numbers")
    return Targets(y)


def normal_or_not(items: Items, description: Description, where: str) -> Targets:
    """0 for items with the label of normal ones (`normal`, else "normal" or 0), 1 for all others; int64 (n,)."""
    if items.labels.ndim != 1 or items.labels.dtype.kind not in "iubU":
        raise BadInput(f"{where}: the labels have dtype {items.labels.dtype}; allowed: one text or whole number for each item")
    texts = items.labels.astype(str)
    present = np.unique(texts).tolist()
    candidates = [description.normal] if description.normal is not None else ["normal", "0", "False"]
    normal = next((text for text in candidates if text in present), None)
    if normal is None:
        raise BadInput(f"{where}: no item has the label {candidates[0]!r}; allowed: normal: one of {', '.join(present[:10])}")
    others = [text for text in present if text != normal]
    name = others[0] if len(others) == 1 and not others[0].lstrip("-").isdigit() and others[0] != "True" else "anomalous"
    return Targets((texts != normal).astype(np.int64), ("normal", name), (normal, " or ".join(others)))


def pixels(items: Items, description: Description, where: str) -> Targets:
    """Class numbers of pixels, int64 (n, H, W): the values in the masks by size, named by `classes` in that order."""
    if items.labels.ndim != 3 or items.labels.dtype.kind not in "iub":
        given = f"dtype {items.labels.dtype}, shape {items.labels.shape}"
        raise BadInput(f"{where}: the masks have {given}; allowed: one whole number for each pixel")
    present, y = np.unique(items.labels, return_inverse=True)
    texts = [str(value) for value in present.tolist()]
    if len(texts) > MOST_PIXEL_CLASSES:
        raise BadInput(f"{where}: the masks have {len(texts)} different values; allowed: the numbers of at most 64 classes")
    if isinstance(description.classes, list):
        if len(description.classes) != len(texts):
            raise BadInput(
                f"{where}: {len(description.classes)} classes for the mask values {', '.join(texts)}; allowed: as many"
            )
        names = tuple(description.classes)
    else:
        names = tuple((description.classes or items_names(items, texts)).get(text, text) for text in texts)
    return Targets(y.reshape(items.labels.shape).astype(np.int64), names, tuple(texts))


def items_names(items: Items, texts: Sequence[str]) -> dict[str, str]:
    """Label -> name of its class, for labels that are places in the reader's list of names."""
    return {text: items.class_names[int(text)] for text in texts if text.isdigit() and int(text) < len(items.class_names)}


def _numbered(items: Items, numbers: np.ndarray, present: np.ndarray, where: str) -> Targets:
    """Labels that are places in a list of names which came with the data."""
    outside = [n for n, label in enumerate(present.tolist()) if not (_is_place(label) and label < len(items.class_names))]
    if outside:
        place, most = items.place(int(np.argmax(numbers == outside[0]))), len(items.class_names) - 1
        raise BadInput(f"{where}: {place} has label {present[outside[0]]}; allowed: 0..{most}, for {most + 1} classes")
    labels = tuple(str(number) for number in range(len(items.class_names)))
    return Targets(items.labels.astype(np.int64), items.class_names, labels)


def _names(texts: list[str], description: Description, where: str, place: Callable[[str], str]) -> dict[str, str]:
    """Label -> name of its class, in the order of the classes. Raises BadInput for a label that `classes` leaves out."""
    if description.classes is None:
        return {text: text for text in sorted(texts, key=_by_size)}
    named = description.classes if isinstance(description.classes, dict) else {name: name for name in description.classes}
    unnamed = [text for text in texts if text not in named]
    if unnamed:
        raise BadInput(f"{where}: {place(unnamed[0])} has the label {unnamed[0]!r}; allowed: classes: {', '.join(named)}")
    return named


def _by_size(text: str) -> tuple[bool, int, str]:
    """Sorts whole numbers by size, before other texts."""
    is_number = text.removeprefix("-").isdecimal()
    return not is_number, int(text) if is_number else 0, text


def _is_place(label: object) -> bool:
    return isinstance(label, int) and not isinstance(label, bool) and label >= 0


def _is_number(label: object) -> bool:
    try:
        float(label)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


TARGETS: dict[str, Callable[[Items, Description, str], Targets]] = {
    "classes": classes,
    "values": values,
    "normal": normal_or_not,
    "pixels": pixels,
}
