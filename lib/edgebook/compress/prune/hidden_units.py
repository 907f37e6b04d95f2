"""Hidden units of GRU and LSTM modules are removed: the matrices get smaller, instead of holding zeros."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from edgebook import lock
from edgebook.compress.prune import HIDDEN_IMPORTANCES
from edgebook.compress.prune.dependency_groups import check_rounding
from edgebook.compress.prune.hidden_slices import Link, keep_units, links, zero_units
from edgebook.errors import BadInput, Unsupported, one_line
from edgebook.models.parametrizations import plain
from edgebook.registry import pick
from edgebook.tasks.task import Task
from edgebook.training.loop import infer

N_CHECKED = 32  # validation items


def prune_units(
    model: nn.Module, task: Task, *, pruning_ratio: float, importance: str = "l2", round_to: int = 1, seed: int = 0
) -> nn.Module:
    """A copy whose recurrent layers have `pruning_ratio` fewer hidden units, not yet fine-tuned.

    The model has one or more nn.GRU or nn.LSTM, of any number of layers and directions; the last state or all steps of each
    are read by the next one or by a dense layer. Each layer and direction loses its own least important units, in a module all
    the same number, since PyTorch has one `hidden_size`. A unit whose incoming weights are zero stays at zero, so removing it
    changes nothing: this is checked on validation items before the model is returned. Where the forward knows the width (a
    state of its own), the number in its module is changed too. Raises BadInput for a ratio outside [0, 1) or an unknown
    importance, Unsupported for a model of another structure, RuntimeError when nothing could be removed.
    """
    score = pick(HIDDEN_IMPORTANCES, importance, "importance")
    if not 0 <= pruning_ratio < 1:
        raise BadInput(f"pruning_ratio = {pruning_ratio}; allowed: 0 <= ratio < 1")
    check_rounding(round_to)
    pruned = copy.deepcopy(plain(model)).eval()
    chain = links(pruned)
    if pruning_ratio == 0:
        return pruned
    hidden = [link.rnn.hidden_size for link in chain]
    n_kept = [min(n, max(round_to, round((1 - pruning_ratio) * n / round_to) * round_to)) for n in hidden]
    if n_kept == hidden:
        reason = f"{', '.join(map(str, hidden))} units cannot lose {pruning_ratio:.0%} in multiples of {round_to}"
        raise RuntimeError(f"nothing was removed: {reason}")
    torch.manual_seed(seed)
    with lock.training():
        scores = score(copy.deepcopy(pruned), task, seed)  # of a copy: gradients are taken in training mode
    remaining = {place: values.topk(n_kept[place[0]]).indices.sort().values for place, values in scores.items()}
    masked = zero_units(pruned, {place: _others(units, hidden[place[0]]) for place, units in remaining.items()})
    widths = {link.rnn: link.width for link in chain}
    keep_units(chain, remaining)
    return _equal(masked, pruned, chain, widths, task)


def _equal(masked: nn.Module, pruned: nn.Module, chain: list[Link], widths: dict[nn.Module, int], task: Task) -> nn.Module:
    """The smaller network, with the numbers of its own modules changed where that is needed to compute what `masked` does.

    Raises Unsupported when it computes something else even so.
    """
    x = task.x_val[:N_CHECKED]
    expected = infer(masked, x)
    reason = _difference(pruned, x, expected)
    if reason is None:
        return pruned
    renumbered = copy.deepcopy(pruned)
    for old, new in zip(chain, links(renumbered), strict=True):
        _renumber(renumbered, new, widths[old.rnn])
    if _difference(renumbered, x, expected) is None:
        return renumbered
    kind = type(chain[0].rnn).__name__
    text = f"{type(pruned).__name__} reads its {kind} otherwise than as a last state or all steps in order"
    raise Unsupported(f"{text}: {reason}", code="structure")


def _renumber(model: nn.Module, link: Link, width_before: int) -> None:
    """Give the modules around a recurrent one its new width wherever they have the old one as a number."""
    changes = {width_before: link.width, width_before * link.rnn.hidden_size // link.width: link.rnn.hidden_size}
    for module in model.modules():
        if module is not link.rnn and any(inner is link.rnn for inner in module.modules()):
            for name, value in list(vars(module).items()):
                if type(value) is int and value in changes:
                    setattr(module, name, changes[value])


def _difference(pruned: nn.Module, x: Tensor, expected: Tensor) -> str | None:
    """Why the outputs are not the expected ones; None when they are."""
    try:
        outputs = infer(pruned, x)
    except Exception as error:  # the user's forward may know the width
        return one_line(error)
    is_equal = outputs.shape == expected.shape and torch.allclose(expected, outputs, atol=1e-4, rtol=1e-3)
    return None if is_equal else "the outputs change"


def _others(units: Tensor, hidden: int) -> Tensor:
    """All units but the given ones."""
    mask = torch.ones(hidden, dtype=torch.bool)
    mask[units] = False
    return mask.nonzero().flatten()
