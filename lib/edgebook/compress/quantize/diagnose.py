"""Has quantization broken a net, which layers did it, and what helps?"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from edgebook import affine
from edgebook.models import batch_norm

LOW_AGREEMENT = 0.9  # below, the file is another net than the float one
REMEDY = "one scale a channel, equalization (channel ranges that differ behind a ReLU), or training with the rounding in the loop"


def collapsed(row: dict[str, Any], n_outputs: int) -> bool:
    """Whether a file's accuracy is near chance (at most twice), or it answers other than the float baseline too often."""
    near_chance = row["score"] is not None and row["score"] <= 2 / n_outputs
    return near_chance or (row["agreement"] is not None and row["agreement"] < LOW_AGREEMENT)


@torch.no_grad()
def layer_report(model: nn.Module, *, bits: int = 8, granularity: str = "tensor") -> list[dict[str, Any]]:
    """One dict a layer, the worst first: `layer`, `sqnr_db` (median over its channels of signal to rounding noise, in the
    weights with batch norm folded in), `range_ratio` (widest channel / median channel), `lost` (share of channels that
    round to nothing). Raises BadInput for bits out of range.
    """
    found = []
    for name, w in batch_norm.folded_weights(model).items():
        noise = affine.round_trip(w, bits=bits, axis=0 if granularity == "channel" else None) - w
        signal = w.flatten(1).square().sum(1)
        used = signal > signal.max() * 1e-12  # a dead channel loses nothing
        ratio = signal[used] / noise.flatten(1).square().sum(1)[used].clamp(min=1e-20)
        widths = w.flatten(1).abs().amax(1)[used]
        found.append({"layer": name, "sqnr_db": 10 * ratio.log10().median().item(), "lost": (ratio <= 1).float().mean().item(),
                      "range_ratio": (widths.max() / widths.median()).item()})  # fmt: skip
    return sorted(found, key=lambda row: row["sqnr_db"])


@torch.no_grad()
def rounding(model: nn.Module, *, bits: list[int]) -> list[dict[str, Any]]:
    """One dict for each number of bits, over all layers with a scale a channel (batch norm folded in): `half_step` (of the
    widest channel), `error_in_half_steps` (the largest of any weight: at most 1), `sqnr_db` (of the median layer), and
    `as_pytorch`, whether PyTorch's own fake quantization gives the same numbers. Empty without convolutions
    and dense layers. Raises BadInput for bits out of range.
    """
    found = []
    for n in bits if batch_norm.folded_weights(model) else []:
        parts = [_rounded(w, n) for w in batch_norm.folded_weights(model).values()]
        found.append({
            "bits": n,
            "half_step": max(half for half, *_ in parts),
            "error_in_half_steps": max(error for _, error, *_ in parts),
            "sqnr_db": torch.tensor([db for *_, db, _ in parts]).median().item(),
            "as_pytorch": all(same for *_, same in parts),
        })  # fmt: skip
    return found


def _rounded(w: torch.Tensor, bits: int) -> tuple[float, float, float, bool]:
    """Half a step, the largest error in half steps, signal to noise in dB, and whether PyTorch rounds alike."""
    scale, zero = affine.qparams(*affine.ranges(w, axis=0), bits=bits, symmetric=True)
    back = affine.round_trip(w, bits=bits, axis=0)
    half = scale.reshape(-1, *[1] * (w.ndim - 1)) / 2
    noise = (back - w).square().sum().clamp(min=1e-20)
    theirs = torch.fake_quantize_per_channel_affine(w, scale, zero, 0, *affine.limits(bits, symmetric=True))
    same = torch.allclose(back, theirs, atol=1e-7)
    return half.max().item(), ((back - w).abs() / half).max().item(), (10 * (w.square().sum() / noise).log10()).item(), same


def explain(row: dict[str, Any], model: nn.Module, n_outputs: int) -> str | None:
    """One line for a collapsed file: the layers with the worst rounding, and what helps; None when it has not collapsed."""
    if row["status"] != "ok" or not collapsed(row, n_outputs):
        return None
    asked = row["asked"].get("granularity", "channel")
    worst = layer_report(model, bits=4 if row["precision"].startswith("int4") else 8, granularity=asked)[:3]
    words = ", ".join(f"{one['layer']} ({one['sqnr_db']:.0f} dB, widest channel {one['range_ratio']:.0f}x)" for one in worst)
    return f"{row['label']} in {row['runtime']}: agrees on {row['agreement']:.1%} only; worst layers: {words}; try {REMEDY}"


def flags(row: dict[str, Any]) -> list[str]:
    """What a quantized file fails to give: `not smaller`, `slower` than the float file of its own runtime."""
    found = ["not smaller"] if row["compression_ratio"] is not None and row["compression_ratio"] <= 1 else []
    return found + (["slower"] if row["speed_verdict"] == "slower" else [])


def notes(rows: list[dict[str, Any]], model: nn.Module, n_outputs: int) -> list[str]:
    """Every explanation and flag of a notebook's rows, one line each; `nothing to report` when there is none."""
    lines = [line for row in rows if (line := explain(row, model, n_outputs))]
    lines += [f"{row['label']} in {row['runtime']}: {', '.join(flags(row))}" for row in rows if flags(row)]
    return lines or ["nothing to report"]
