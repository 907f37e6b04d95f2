"""Recordings -> log-mel energies or MFCC: a few array operations, so that a device can do the same.

The filters are librosa's, the cosine transform is SciPy's. `librosa.feature` is not used: importing it compiles for half a
minute in a new environment. The tests compare with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebook.errors import BadInput
from edgebook.tasks.description import AudioSettings
from edgebook.tasks.extras import needed

LOG_OFFSET = 1e-6  # added to the energies, so that silence has a logarithm


def recipe(settings: AudioSettings, rate: int, seconds: float, where: str) -> dict[str, Any]:
    """All that decides the features, as plain data in samples and Hz: what a device has to do.

    Raises BadInput for windows longer than a recording, more filters than frequencies, and the like.
    """
    window, hop = round(rate * settings.window_ms / 1000), round(rate * settings.hop_ms / 1000)
    high = settings.high_hz or rate / 2
    n_samples = round(seconds * rate)
    if not 0 < hop <= window <= n_samples:
        given = f"a window of {window}, a hop of {hop} and {n_samples} samples"
        raise BadInput(f"{where}: audio: {given}; allowed: hop <= window <= recording")
    if not settings.low_hz < high <= rate / 2:
        raise BadInput(f"{where}: audio: {settings.low_hz:g} to {high:g} Hz; allowed: rising, up to {rate / 2:g} (half the rate)")
    made = {
        "features": settings.features,
        "rate": rate,
        "samples": n_samples,
        "window": window,
        "hop": hop,
        "fft": 1 << (window - 1).bit_length(),
        "window_function": "hann, periodic",
        "n_mels": settings.n_mels,
        "mel_scale": "slaney, area-normalised (librosa.filters.mel)",
        "low_hz": settings.low_hz,
        "high_hz": high,
        "energy": "squared magnitude",
        "log": f"natural, of the energy + {LOG_OFFSET:g}",
        "log_offset": LOG_OFFSET,
    }
    if settings.features == "mfcc":
        if settings.n_mfcc > settings.n_mels:
            raise BadInput(f"{where}: audio.n_mfcc = {settings.n_mfcc}; allowed: at most n_mels = {settings.n_mels}")
        made |= {"n_mfcc": settings.n_mfcc, "cosine_transform": "type 2, orthonormal"}
    empty = int((filters(made).max(1) <= 0).sum())
    if empty:
        reason = f"{empty} of {settings.n_mels} filters are narrower than a step of the spectrum"
        raise BadInput(f"{where}: audio: {reason}; allowed: a smaller n_mels or a longer window_ms")
    return made


def filters(made: dict[str, Any]) -> np.ndarray:
    """The mel filters, float32 (n_mels, fft / 2 + 1)."""
    mel = needed("librosa.filters", extra="data", what="recordings").mel
    with np.errstate(all="ignore"):
        return mel(sr=made["rate"], n_fft=made["fft"], n_mels=made["n_mels"], fmin=made["low_hz"], fmax=made["high_hz"])


def features(signals: np.ndarray, made: dict[str, Any]) -> np.ndarray:
    """Features float32 (n, frames, n_mels or n_mfcc) of signals float32 (n, samples) in -1..1; made: see `recipe`."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(made["window"]) / made["window"])
    frames = np.lib.stride_tricks.sliding_window_view(signals, made["window"], axis=1)[:, :: made["hop"]]
    energy = np.abs(np.fft.rfft(frames * hann.astype(np.float32), made["fft"])) ** 2  # (n, frames, fft / 2 + 1)
    log_mel = np.log(energy.astype(np.float32) @ filters(made).T + np.float32(made["log_offset"]))
    if made["features"] == "log_mel":
        return log_mel
    from scipy.fft import dct

    return np.asarray(dct(log_mel, type=2, norm="ortho", axis=-1))[..., : made["n_mfcc"]]
