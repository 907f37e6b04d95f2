"""Single weights are set to zero, at once or while the network is trained. What zeros speed up is measured, not assumed."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from edgebook.compress.sparsity.masks import (
    Masks,
    apply_masks,
    check_sparsity,
    n_of_m_masks,
    sparsity_masks,
    threshold_masks,
    weights,
)
from edgebook.errors import BadInput
from edgebook.tasks.task import Task
from edgebook.training.loop import train
from edgebook.training.losses import hard_loss
from edgebook.training.recipe import Recipe


def sparsify(
    model: nn.Module,
    task: Task,
    recipe: Recipe,
    *,
    sparsity: float,
    scope: str = "global",
    choice: str = "magnitude",
    initial_sparsity: float = 0.0,
    begin: float = 0.0,
    end: float = 0.6,
    frequency: int = 20,
) -> nn.Module:
    """A trained copy in which the share `sparsity` of the weights is zero.

    During training the share rises from `initial_sparsity` to `sparsity` by a cubic schedule, from the share `begin` of the
    steps to the share `end`, with new masks every `frequency` steps; without epochs all are set to zero at once. `choice`: the
    smallest weights, or (the control) random ones; `scope`: ranked over the whole network or in every layer. Raises BadInput
    for a wrong argument. Source: Zhu and Gupta 2017, To prune or not to prune, equation 1.
    """
    check_sparsity(sparsity, scope, choice)
    _check_schedule(sparsity, initial_sparsity, begin, end, frequency)
    how = {"scope": scope, "choice": choice, "seed": recipe.seed}
    if recipe.epochs == 0:
        return cut(model, task, sparsity=sparsity, **how)
    n_steps = recipe.epochs * recipe.steps_per_epoch(len(task.x_train))
    first = int(begin * n_steps)
    last = max(int(end * n_steps), first + 1)
    renewals, masks = {*range(first, last, frequency), last - 1}, {}

    def hold(net: nn.Module, step: int) -> None:
        if step in renewals:
            masks.update(sparsity_masks(net, scheduled(step + 1, first, last, initial_sparsity, sparsity), **how))
        apply_masks(net, masks)

    return train(model, task, recipe, after_step=hold, keep="last")


def _check_schedule(sparsity: float, initial_sparsity: float, begin: float, end: float, frequency: int) -> None:
    if not 0 <= initial_sparsity <= sparsity:
        raise BadInput(f"initial_sparsity = {initial_sparsity}; allowed: 0 to the final {sparsity}")
    if not 0 <= begin < end <= 1:
        raise BadInput(f"begin = {begin}, end = {end}; allowed: 0 <= begin < end <= 1, shares of the training steps")
    if frequency < 1:
        raise BadInput(f"frequency = {frequency}; allowed: 1 or more steps")


def scheduled(step: int, begin: int, end: int, initial: float, final: float) -> float:
    """Sparsity at a step: `initial` up to `begin`, then cubic to `final`, which holds from `end` on."""
    remaining = min(1.0, max(0.0, 1 - (step - begin) / (end - begin)))
    return final + (initial - final) * remaining**3


def cut(
    model: nn.Module,
    task: Task,
    *,
    sparsity: float | None = None,
    n_of_m: str | None = None,
    threshold: float | None = None,
    scope: str = "global",
    choice: str = "magnitude",
    keep_dense: list[str] | None = None,
    seed: int = 0,
) -> nn.Module:
    """A copy with weights set to zero at once, not fine-tuned.

    One of three says which: the share `sparsity`, the pattern `n_of_m` ("2:4": the 2 largest of every 4 stay; layers in
    `keep_dense` stay dense), or all below `threshold` in size. Raises BadInput as the masks do, and for none or several.
    """
    if sum(value is not None for value in (sparsity, n_of_m, threshold)) != 1:
        raise BadInput("one of sparsity, n_of_m and threshold is needed")
    sparse = copy.deepcopy(model)
    if n_of_m is not None:
        masks = n_of_m_masks(sparse, n_of_m, keep_dense or [])
    elif threshold is not None:
        masks = threshold_masks(sparse, threshold)
    else:
        masks = sparsity_masks(sparse, sparsity, scope=scope, choice=choice, seed=seed)
    apply_masks(sparse, masks)
    return sparse


def train_masked(model: nn.Module, task: Task, recipe: Recipe) -> nn.Module:
    """A trained copy in which every weight that is zero stays zero."""
    masks: Masks = {name: weight != 0 for name, weight in weights(model).items()}
    return train(model, task, recipe, after_step=lambda net, step: apply_masks(net, masks), keep="last")


def train_from_rewound(sparse: nn.Module, task: Task, recipe: Recipe, *, start: nn.Module) -> nn.Module:
    """The lottery ticket: the weights of `start` (the same network before training) with the zeros of `sparse`, trained.

    Source: Frankle and Carbin 2019, The lottery ticket hypothesis.
    """
    rewound = copy.deepcopy(start)
    apply_masks(rewound, {name: weight != 0 for name, weight in weights(sparse).items()})
    return train_masked(rewound, task, recipe)


def train_l1(model: nn.Module, task: Task, recipe: Recipe, *, l1_weight: float) -> nn.Module:
    """A copy trained with `l1_weight` times the sum of all absolute weights added to the loss; `cut` by a `threshold` follows.

    Raises BadInput for a weight of 0 or less. Source: Han et al. 2015, Learning both weights and connections, section 3.1.
    """
    if l1_weight <= 0:
        raise BadInput(f"l1_weight = {l1_weight}; allowed: > 0")
    on_labels = hard_loss(task.kind, recipe)

    def loss(net: nn.Module, x: Tensor, y: Tensor, step: int) -> Tensor:
        return on_labels(net, x, y, step) + l1_weight * sum(weight.abs().sum() for weight in weights(net).values())

    return train(model, task, recipe, loss=loss, keep="last")
