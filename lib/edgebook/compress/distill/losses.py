"""What a student's outputs and features are compared with its teacher's by, beside the soft loss that a kind has."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from edgebook.errors import BadInput, Unsupported
from edgebook.tasks.kinds import Kind
from edgebook.training.losses import SoftLoss

LEAST = 1e-12  # of a share, before its logarithm is taken

POOLS = {3: F.adaptive_avg_pool1d, 4: F.adaptive_avg_pool2d, 5: F.adaptive_avg_pool3d}  # by the dimensions of a map


def decoupled_loss(kind: Kind, temperature: float, nontarget_weight: float) -> SoftLoss:
    """T^2 * (divergence of the label's share + nontarget_weight * divergence among the other classes), mean over items.

    With softmax outputs p of the teacher and q of the student, both at temperature T, and the label t, these are
    KL((p_t, 1 - p_t) || (q_t, 1 - q_t)) and KL(p without t || q without t), each without t scaled to sum 1. Hinton's loss is
    the case in which each item's weight is 1 - p_t. For logits (n, classes, ...), so for pixels too. Raises BadInput for a
    temperature or weight out of range, Unsupported for a kind without classes.
    Source: Zhao et al. 2022, Decoupled knowledge distillation, equation 7.
    """
    if temperature <= 0:
        raise BadInput(f"temperature = {temperature}; allowed: > 0")
    if nontarget_weight < 0:
        raise BadInput(f"nontarget_weight = {nontarget_weight}; allowed: 0 or more")
    if not kind.has_classes:
        raise Unsupported(f"decoupled distillation needs classes; {kind.name} has none", code="structure")

    def soft(outputs: Tensor, targets: Tensor, y: Tensor) -> Tensor:
        student, teacher = (F.log_softmax(logits / temperature, 1) for logits in (outputs, targets))
        label = y.unsqueeze(1)
        target = _divergence(*(_label_and_rest(shares, label) for shares in (student, teacher)))
        others = _divergence(*(_without(shares, label) for shares in (student, teacher)))
        return temperature**2 * (target + nontarget_weight * others)

    return soft


def _divergence(log_student: Tensor, log_teacher: Tensor) -> Tensor:
    """KL(teacher || student) of log shares (n, classes, ...), mean over items and pixels."""
    n_distributions = log_student.numel() // log_student.shape[1]
    return F.kl_div(log_student, log_teacher, reduction="sum", log_target=True) / n_distributions


def _label_and_rest(log_shares: Tensor, label: Tensor) -> Tensor:
    """Log shares of the label and of all other classes together, (n, 2, ...)."""
    share = log_shares.gather(1, label).exp()
    return torch.cat([share, 1 - share], 1).clamp_min(LEAST).log()


def _without(log_shares: Tensor, label: Tensor) -> Tensor:
    """Log shares of the classes but the label, scaled to sum 1, (n, classes - 1, ...)."""
    others = torch.ones_like(log_shares, dtype=torch.bool).scatter(1, label, False).movedim(1, -1)
    remaining = log_shares.movedim(1, -1)[others].reshape(*others.shape[:-1], -1)
    return F.log_softmax(remaining, -1).movedim(-1, 1)


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of two feature maps (n, channels, ...), the larger one pooled to the size of the smaller.

    Source: Romero et al. 2015, FitNets, equation 3, whose student passes a learned projection first.
    """
    return F.mse_loss(*same_size(student, teacher))


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of two attention maps, mean over items. A map is the sum over channels of the squared features, (n,
    places), scaled to length 1; channel counts may differ.

    Source: Zagoruyko and Komodakis 2017, Paying more attention to attention, equation 2.
    """
    maps = (F.normalize(features.square().sum(1).flatten(1), dim=1) for features in same_size(student, teacher))
    return F.mse_loss(*maps, reduction="sum") / len(student)


def same_size(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both feature maps (n, channels, ...), averaged to the smaller of their sizes. Features (n, channels) stay as they are.

    Raises BadInput for maps of different dimensions.
    """
    if a.ndim != b.ndim:
        shapes = f"{tuple(a.shape[1:])} and {tuple(b.shape[1:])}"
        raise BadInput(f"layers: features of shape {shapes}; allowed: equally many dimensions")
    if a.shape[2:] == b.shape[2:]:
        return a, b
    size = [min(sides) for sides in zip(a.shape[2:], b.shape[2:])]
    return POOLS[a.ndim](a, size), POOLS[b.ndim](b, size)
