"""Items of the user's own data -> a Task: targets, splits, one scale per channel, and what is to be said about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from edgebook.errors import BadInput
from edgebook.naming import task_label
from edgebook.tasks.augment import AUGMENTATIONS
from edgebook.tasks.description import Description, said
from edgebook.tasks.items import Items, without_broken
from edgebook.tasks.kinds import KINDS
from edgebook.tasks.labels import TARGETS, Targets, kind_of
from edgebook.tasks.splits import MOST_VALIDATION, SPLIT_NAMES, carve, check_groups
from edgebook.tasks.task import SPLITS, Task


def assemble(items: Items, description: Description, name: str, where: str, *, standardize: bool) -> Task:
    """The Task of these items; standardize: see `formats.Format`.

    Raises BadInput, one line that begins with `where`, for anything that cannot be used.
    """
    items = without_broken(items, description.broken, where)
    kind_name = kind_of(items, description, where)
    targets = TARGETS[KINDS[kind_name].targets](items, description, where)
    splits = _splits(items, targets, description, where, anomaly=KINDS[kind_name].targets == "normal")
    if KINDS[kind_name].targets == "normal":  # what is not normal is there to be found, not to learn from
        splits[(splits == "train") & (targets.y == 1)] = "unused"
    _check_enough(items, targets, splits, kind_name, where)
    scale, offset = _scale(items.x, splits == "train") if standardize else (1.0, 0.0)
    target_scale, y = None, targets.y
    if standardize and KINDS[kind_name].targets == "values":
        target_scale, y = _scaled_targets(y, splits == "train")
    x = _apply(items.x, scale, offset)
    tensors = [torch.from_numpy(part[splits == split]) for split in SPLITS for part in (x, y)]
    preprocess: dict[str, Any] = {"raw": items.raw, **items.settings, "scale": scale, "offset": offset}
    if target_scale:
        preprocess["target"] = target_scale
    if targets.class_names:
        preprocess["classes"] = dict(zip(targets.labels, targets.class_names))
    return Task(
        task_label(name),
        *tensors,
        class_names=targets.class_names,
        kind_name=kind_name,
        metric_name=_metric(kind_name, description, where),
        augment=AUGMENTATIONS[description.augment] if description.augment else None,
        preprocess=preprocess,
        licence="the user's own",
        source=where,
        groups={} if items.groups is None else {split: items.groups[splits == split] for split in SPLITS},
        class_weights=_class_weights(targets, splits, where) if description.class_weights else (),
        item_seconds=items.seconds,
        background=_background(targets, description, where),
        description=said(description),
        notes=_notes(items, splits),
    )


def _splits(items: Items, targets: Targets, description: Description, where: str, *, anomaly: bool) -> np.ndarray:
    """train, val or test for each item, texts (n,): as given, the rest carved, each group in one of them."""
    y, groups = torch.from_numpy(targets.y), items.groups
    if items.splits is not None:
        splits = np.array([SPLIT_NAMES.get(str(split).lower(), str(split)) for split in items.splits.tolist()])
        if missing := sorted({"train", "test"} - set(splits.tolist())):
            raise BadInput(f"{where}: no item is in {' and '.join(missing)}; allowed: train, test and, optionally, val")
        if unknown := sorted(set(splits.tolist()) - set(SPLITS)):
            raise BadInput(f"{where}: split {unknown[0]!r} is unknown; allowed: {', '.join(SPLIT_NAMES)}")
        splits = splits.astype("<U6")  # "unused" may follow
        if groups is not None:
            check_groups(splits, groups, where)
    else:
        splits = np.full(len(y), "train", "<U6")
        if anomaly and groups is None:
            return _around_anomalies(splits, y, description)
        _check_divisible(splits, groups, where)
        splits[carve(y, description.test_share, groups=groups).numpy()] = "test"
    if "val" not in splits:
        rest = np.flatnonzero(splits == "train")
        inner = None if groups is None else groups[rest]
        _check_divisible(rest, inner, where)
        splits[rest[carve(y[rest], description.val_share, groups=inner, at_most=MOST_VALIDATION).numpy()]] = "val"
    return splits


def _check_divisible(items: np.ndarray, groups: np.ndarray | None, where: str) -> None:
    """Raises BadInput for items that cannot be divided among two splits."""
    n, what = (len(items), "item") if groups is None else (len(np.unique(groups)), "group")
    if n < 2:
        reason = f"allowed: 2 {what}s or more, as some are held out for validation and test"
        raise BadInput(f"{where}: {n} {what} to train on; {reason}")


def _around_anomalies(splits: np.ndarray, y: torch.Tensor, description: Description) -> np.ndarray:
    """Normal items by the shares of the description; all others, which train nothing, for validation and test alone."""
    test, val = description.test_share, description.val_share
    for label, held in ((0, {"test": test, "val": val / (1 - test)}), (1, {"test": test / (test + val), "val": None})):
        rest = np.flatnonzero(y.numpy() == label)
        for split, share in held.items():
            if len(rest) < 2:
                break
            chosen = np.ones(len(rest), bool) if share is None else carve(y[rest], share).numpy()
            splits[rest[chosen]], rest = split, rest[~chosen]
    return splits


def _check_enough(items: Items, targets: Targets, splits: np.ndarray, kind_name: str, where: str) -> None:
    """Raises BadInput for a split without items, for one class, for a class that nothing is learned of."""
    for split in SPLITS:
        if not (splits == split).any():
            raise BadInput(f"{where}: no item is left for {split}; allowed: one or more in each of {', '.join(SPLITS)}")
    needed = {"classes": ("train",), "pixels": ("train",), "normal": ("val", "test")}.get(KINDS[kind_name].targets, ())
    if needed and len(targets.class_names) < 2:
        given = targets.class_names[0] if targets.class_names else "none"
        raise BadInput(f"{where}: all items have one label, {given}; allowed: two classes or more")
    for split in needed:
        present = set(np.unique(targets.y[splits == split]).tolist())
        for number, name in enumerate(targets.class_names):
            if number not in present:
                raise BadInput(f"{where}: {_absent(items, targets, number, name, split)}; allowed: labels that {split} has too")


def _absent(items: Items, targets: Targets, number: int, name: str, split: str) -> str:
    """What a class without items in a split is called, with the first of its items elsewhere."""
    given = f"class {name!r} has no item in {split}"
    others = np.flatnonzero((targets.y == number).reshape(len(targets.y), -1).any(1))
    return f"{items.place(int(others[0]))} has the label {targets.labels[number]}, but {given}" if len(others) else given


def _scale(x: np.ndarray, chosen: np.ndarray) -> tuple[Any, Any]:
    """(scale, offset), one number for each channel (dimension 1), that bring the chosen items to mean 0 and deviation 1.

    A channel that is constant keeps its scale.
    """
    channels = [x[chosen, channel] for channel in range(x.shape[1])]
    mean = np.array([channel.mean(dtype=np.float64) for channel in channels])
    deviation = np.array([channel.std(dtype=np.float64) for channel in channels])
    scale = 1 / np.where(deviation > 1e-6 * np.abs(mean), deviation, 1)
    return scale.tolist(), (-mean * scale).tolist()


def _apply(x: np.ndarray, scale: Any, offset: Any) -> np.ndarray:
    """x * scale + offset, in place where x may be written."""
    if scale == 1.0 and offset == 0.0:
        return x
    shape = (1, -1, *[1] * (x.ndim - 2))
    x = x if x.flags.writeable else x.copy()
    x *= np.asarray(scale, np.float32).reshape(shape)
    x += np.asarray(offset, np.float32).reshape(shape)
    return x


def _scaled_targets(y: np.ndarray, chosen: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """({"scale", "offset"}, y): targets (n, k) of mean 0 and deviation 1; value = output * scale + offset."""
    mean, deviation = y[chosen].mean(0, dtype=np.float64), y[chosen].std(0, dtype=np.float64)
    deviation = np.where(deviation > 0, deviation, 1)
    return {"scale": deviation.tolist(), "offset": mean.tolist()}, ((y - mean) / deviation).astype(np.float32)


def _metric(kind_name: str, description: Description, where: str) -> str:
    allowed = KINDS[kind_name].all_metrics
    if description.metric and description.metric not in allowed:
        raise BadInput(f"{where}: metric = {description.metric!r}; allowed for {kind_name}: {', '.join(allowed)}")
    return description.metric or ""


def _class_weights(targets: Targets, splits: np.ndarray, where: str) -> tuple[float, ...]:
    """Weight of each class in the loss, n / (classes * items of the class) as in scikit-learn's "balanced"."""
    if not targets.class_names:
        raise BadInput(f"{where}: class_weights = True, but there are no classes; allowed: classification and segmentation")
    counts = np.bincount(targets.y[splits == "train"].ravel(), minlength=len(targets.class_names))
    return tuple((counts.sum() / (len(counts) * counts)).round(6).tolist())


def _background(targets: Targets, description: Description, where: str) -> tuple[int, ...]:
    """The numbers of the classes that are no event."""
    for name in description.background:
        if name not in targets.class_names:
            raise BadInput(f"{where}: background names {name!r}; allowed: {', '.join(targets.class_names) or 'no class'}")
    return tuple(targets.class_names.index(name) for name in description.background)


def _notes(items: Items, splits: np.ndarray) -> tuple[str, ...]:
    notes = list(items.notes)
    if n_unused := int((splits == "unused").sum()):
        notes.append(f"{n_unused} items that are not normal are left out, since their groups are in train")
    if items.skipped:
        n, shown = len(items.skipped), "; ".join(items.skipped[:3])
        notes.append(f"1 broken item is left out: {shown}" if n == 1 else f"{n} broken items are left out: {shown}")
    return tuple(notes)
