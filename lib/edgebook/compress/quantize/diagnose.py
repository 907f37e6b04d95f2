"""Has quantization broken a network, which layers are responsible, and what may help?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgebook import affine
from edgebook.models.batch_norm import folded_weights
from edgebook.vocabulary import precision

Row = dict[str, Any]
LOW_AGREEMENT = 0.9  # below, a file that lost score is another network than the float one
UNEVEN = 8  # times the median range: a channel that wide leaves the others few of the 256 steps


def collapsed(row: Row) -> bool:
    """Whether quantization broke a file: it is worse than the float baseline, beyond doubt and margin, and it either scores no
    better than the best constant answer (within the margin) or agrees with the float network on too few items.

    Holds for every metric and any number of classes: chance and margin are the row's own.
    """
    if row["verdict"] != "worse":
        return False
    at_chance = None not in (row["score_lo"], row["chance"]) and row["score_lo"] <= row["chance"] + (row["margin"] or 0.0)
    return at_chance or (row["agreement"] is not None and row["agreement"] < LOW_AGREEMENT)


@torch.no_grad()
def layer_report(model: nn.Module, *, bits: int = 8, granularity: str = "tensor") -> list[dict[str, Any]]:
    """One dict per layer, the worst first: `layer`, `sqnr_db` (signal to rounding noise in the weights with batch norm folded
    in, median over channels), `range_ratio` (widest channel / median channel), `lost` (share of channels that round to
    nothing). granularity: one scale per `channel`, or per layer (`tensor`). Raises BadInput for bits out of range.
    """
    report = []
    for name, w in folded_weights(model).items():
        noise = affine.round_trip(w, bits=bits, axis=0 if granularity == "channel" else None) - w
        signal = w.flatten(1).square().sum(1)
        alive = signal > signal.max() * 1e-12  # a dead channel loses nothing
        ratio = signal[alive] / noise.flatten(1).square().sum(1)[alive].clamp(min=1e-20)
        ranges = w.flatten(1).abs().amax(1)[alive]
        entry = {
            "layer": name,
            "sqnr_db": 10 * ratio.log10().median().item(),
            "lost": (ratio <= 1).float().mean().item(),
            "range_ratio": (ranges.max() / ranges.median()).item(),
        }
        report.append(entry)
    return sorted(report, key=lambda entry: entry["sqnr_db"])


@torch.no_grad()
def rounding_errors(model: nn.Module, *, bits: list[int]) -> list[dict[str, Any]]:
    """One dict per number of bits, over all layers with one scale per channel (batch norm folded in): `half_step` (of the widest
    channel), `error_in_half_steps` (the largest of any weight: at most 1), `sqnr_db` (of the median layer), and `as_pytorch`,
    whether PyTorch's fake quantization gives the same numbers. Empty without convolutions and dense layers. Raises BadInput
    for bits out of range.
    """
    weights = list(folded_weights(model).values())
    errors = []
    for n_bits in bits if weights else []:
        half_steps, largest, sqnr, same = zip(*(_rounded(w, n_bits) for w in weights), strict=True)
        entry = {
            "bits": n_bits,
            "half_step": max(half_steps),
            "error_in_half_steps": max(largest),
            "sqnr_db": torch.tensor(sqnr).median().item(),
            "as_pytorch": all(same),
        }
        errors.append(entry)
    return errors


def _rounded(w: Tensor, bits: int) -> tuple[float, float, float, bool]:
    """Half a step, the largest error in half steps, signal to noise in dB, and whether PyTorch rounds alike."""
    scale, zero = affine.qparams(*affine.ranges(w, axis=0), bits=bits, symmetric=True)
    back = affine.round_trip(w, bits=bits, axis=0)
    half = scale.reshape(-1, *[1] * (w.ndim - 1)) / 2
    noise = (back - w).square().sum().clamp(min=1e-20)
    reference = torch.fake_quantize_per_channel_affine(w, scale, zero, 0, *affine.limits(bits, symmetric=True))
    same = torch.allclose(back, reference, atol=1e-7)
    return half.max().item(), ((back - w).abs() / half).max().item(), (10 * (w.square().sum() / noise).log10()).item(), same


def explain(row: Row, model: nn.Module) -> str | None:
    """One line for a collapsed file: the layers with the worst rounding, and what may help; None when it has not collapsed."""
    if row["status"] != "ok" or not collapsed(row):
        return None
    granularity, bits = row["asked"].get("granularity", "channel"), precision(row["precision"]).weight_bits
    worst = layer_report(model, bits=int(bits), granularity=granularity)[:3]
    layers = ", ".join(f"{entry['layer']} ({entry['sqnr_db']:.0f} dB)" for entry in worst) or "none of a known kind"
    remedies = [] if granularity == "channel" else ["one scale per channel"]
    if any(entry["range_ratio"] > UNEVEN for entry in worst):
        remedies.append("equalization (its channels differ widely in range)")
    advice = " or ".join([*remedies, "quantization-aware training (32_qat)"])
    agreement = "" if row["agreement"] is None else f", agreement with the float network {row['agreement']:.1%}"
    return (
        f"{row['label']} in {row['runtime']}: collapsed{agreement}; layers with the most rounding noise: {layers}; try {advice}"
    )


def notes(rows: list[Row], model: nn.Module) -> list[str]:
    """One line per collapsed file, and one per file with flags (slower, or not smaller, than the float file of its runtime);
    a line that says so when there is neither.
    """
    lines = [line for row in rows if (line := explain(row, model))]
    lines += [
        f"{row['label']} in {row['runtime']}: {'; '.join(row['extra']['flags'])}" for row in rows if row["extra"].get("flags")
    ]
    return lines or ["no file collapsed, none is slower or larger than the float file of its runtime"]
