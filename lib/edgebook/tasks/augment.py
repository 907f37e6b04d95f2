"""Augmentations: `(x, generator) -> x`, a whole batch at once, the input untouched."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def shift_flip(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image (N, C, H, W) moved by up to 2 pixels in either direction and mirrored left to right half the time."""
    return _move(x, generator, pixels=2, flip=True)


def shift(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image (N, C, H, W) moved by up to 1 pixel in either direction: for 8 x 8, where 2 would cut a stroke off."""
    return _move(x, generator, pixels=1, flip=False)


def shift_jitter(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each signal (N, C, T) rotated by up to 2 steps, with white noise of deviation 0.05: what its generator varies too."""
    n, channels, length = x.shape
    offsets = torch.randint(-2, 3, (n, 1), generator=generator)
    steps = (torch.arange(length) + offsets) % length  # (N, T)
    noise = 0.05 * torch.randn(x.shape, generator=generator)
    return x.gather(2, steps[:, None].expand(n, channels, length).to(x.device)) + noise.to(x.device)


def _move(x: torch.Tensor, generator: torch.Generator, *, pixels: int, flip: bool) -> torch.Tensor:
    n, channels, height, width = x.shape
    offsets = torch.randint(0, 2 * pixels + 1, (2, n, 1), generator=generator)
    rows = offsets[0] + torch.arange(height)  # (N, H), where each output row is read from in the padded image
    columns = offsets[1] + torch.arange(width)  # (N, W)
    if flip:
        mirrored = torch.rand(n, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    # the darkest value of the batch is the background: zero is not, once normalised
    padded = F.pad(x, (pixels,) * 4, value=float(x.amin()))
    items, layers = torch.arange(n), torch.arange(channels)
    return padded[items[:, None, None, None], layers[None, :, None, None], rows[:, None, :, None], columns[:, None, None, :]]


AUGMENTATIONS = {"shift_flip": shift_flip, "shift": shift, "shift_jitter": shift_jitter}
