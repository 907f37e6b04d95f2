"""Heart beats, generated: each patient has a form of beat of their own; hardly one in ten is not normal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

RATE, SAMPLES = 128, 128
N_PATIENTS = 60
BEATS = 60  # of each patient
SHARES = {"normal": 0.89, "supraventricular": 0.05, "ventricular": 0.06}
# waves P, Q, R, S, T: time from the R wave (s), width (s), height (mV)
WAVES = np.array([(-0.17, 0.025, 0.15), (-0.035, 0.010, -0.12), (0.0, 0.012, 1.1), (0.035, 0.010, -0.25), (0.26, 0.055, 0.3)])


def write(path: Path, random: np.random.Generator, size: float) -> None:
    """A Parquet table: patient, beat, and lead, the voltage of one second around the R wave at 128 Hz."""
    rows = []
    for patient in range(max(20, round(N_PATIENTS * size))):
        form = WAVES * random.normal(1, [0.04, 0.2, 0.3], WAVES.shape)
        noise, wander = random.uniform(0.01, 0.06), random.uniform(0.02, 0.3)
        for beat in random.choice(list(SHARES), max(10, round(BEATS * size)), p=list(SHARES.values())):
            lead = _recorded(random, _beat(random, form, beat), noise, wander)
            rows.append({"patient": f"p{patient:02}", "beat": str(beat), "lead": lead.astype(np.float32)})
    pd.DataFrame(rows).to_parquet(path, index=False)


def _beat(random: np.random.Generator, form: np.ndarray, beat: str) -> np.ndarray:
    """The voltage (SAMPLES,) of one beat, with the end of the beat before it."""
    time = (np.arange(SAMPLES) - 0.4 * SAMPLES) / RATE
    waves = form * random.normal(1, 0.06, form.shape)
    before = random.normal(0.85, 0.06)  # seconds since the beat before
    if beat == "supraventricular":  # early, from another place of the atria: P is small and close
        before *= random.uniform(0.55, 0.75)
        waves[0] *= (0.65, 0.8, random.uniform(-0.6, 0.4))
    if beat == "ventricular":  # no P, a wide QRS, T the other way round
        before *= random.uniform(0.6, 0.85)
        waves[0, 2], waves[4, 2] = 0, -abs(waves[4, 2]) * random.uniform(0.6, 1.4)
        waves[1:4, 1] *= random.uniform(1.8, 3.0)
    return _waves(time, waves) + _waves(time + before, form)


def _waves(time: np.ndarray, waves: np.ndarray) -> np.ndarray:
    centre, width, height = waves.T[:, :, None]
    return (height * np.exp(-(((time - centre) / width) ** 2) / 2)).sum(0)


def _recorded(random: np.random.Generator, lead: np.ndarray, noise: float, wander: float) -> np.ndarray:
    """The voltage as electrodes on a moving body give it: drift, hum of the mains, muscles, contact that is lost."""
    time = np.arange(SAMPLES) / RATE
    lead = lead + wander * np.sin(2 * np.pi * random.uniform(0.15, 0.5) * time + random.uniform(0, 6))
    lead += 0.03 * np.sin(2 * np.pi * 50 * time + random.uniform(0, 6)) + random.normal(0, noise, SAMPLES)
    if random.random() < 0.03:
        begin = random.integers(0, SAMPLES - 10)
        lead[begin : begin + 40] = lead[begin]
    if random.random() < 0.005:
        lead[random.integers(SAMPLES)] = np.nan
    return lead
