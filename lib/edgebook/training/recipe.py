"""How a network is trained: one frozen record that presets, notebooks and every technique share."""

from __future__ import annotations

from dataclasses import dataclass, fields

from edgebook.errors import BadInput


@dataclass(frozen=True)
class Recipe:
    """Epochs, optimizer and schedule of one training; `dataclasses.replace` makes variants of it.

    lr: peak of the one-cycle schedule. dtype: float32, or bfloat16 by autocast. augment: use the task's augmentation.
    """

    epochs: int
    batch_size: int = 128
    lr: float = 0.01
    optimizer: str = "adam"
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: bool = False
    dtype: str = "float32"
    device: str = "auto"
    seed: int = 0

    def steps_per_epoch(self, n_items: int) -> int:
        """Optimizer steps of one epoch over `n_items`; the last batch may be short, but a single item is left out."""
        is_single = n_items % self.batch_size == 1 < min(self.batch_size, n_items)
        return -(-n_items // self.batch_size) - is_single


FIELDS = tuple(field.name for field in fields(Recipe))


def recipe_from(values: dict, *, defaults: dict | None = None, **fixed) -> Recipe:
    """A Recipe from a mapping as presets have it, over `defaults` (another such mapping); `fixed` fields always win.

    Raises BadInput for a field that a recipe does not have.
    """
    merged = {**(defaults or {}), **{name: value for name, value in values.items() if value is not None}, **fixed}
    if unknown := merged.keys() - set(FIELDS):
        raise BadInput(f"recipe: {', '.join(sorted(unknown))} is unknown; allowed: {', '.join(FIELDS)}")
    return Recipe(**merged)
