"""Vibration of many machines, generated: each stands differently and warms up; faults are rare and often slight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from edgebook.tasks.vibration import N_BANDS, log_powers, signals

N_MACHINES = 24
WINDOWS = 150  # of each machine
FAULTY = 0.08  # share of the windows


def write(path: Path, random: np.random.Generator, size: float) -> None:
    """A CSV table: machine, state (normal or the fault), and band_00 to band_63, logarithms of the power in bands of 32 Hz."""
    tables = []
    for number in range(max(12, round(N_MACHINES * size))):
        n = max(30, round(WINDOWS * size))
        severity = np.where(random.random(n) < FAULTY, random.uniform(0.2, 1, n), 0)
        bands = log_powers(signals(random, severity))
        mounting = np.convolve(random.normal(0, 0.6, N_BANDS + 8), np.ones(9) / 3, "valid")  # how its housing passes vibration on
        warming = np.linspace(0, random.uniform(0, 0.4), n)[:, None]  # the oil thins, and everything gets louder
        bands = bands + mounting + warming
        bands[random.random(n) < 0.02] -= 1.5  # a sensor that has come loose
        table = pd.DataFrame(bands.round(3), columns=[f"band_{band:02}" for band in range(N_BANDS)])
        table.insert(0, "state", np.where(severity > 0, "faulty", "normal"))
        table.insert(0, "machine", f"m{number:02}")
        tables.append(table)
    pd.concat(tables).to_csv(path, index=False)
