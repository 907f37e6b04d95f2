"""Readings of gas sensors, generated: each device differs, drifts with its age, and loses readings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

N_DEVICES = 30
READINGS = 120  # of each device
N_SENSORS = 6


def write(path: Path, random: np.random.Generator, size: float) -> None:
    """A CSV table: device, temperature (°C), humidity (%), sensor_1 to sensor_6 (kilo-ohms), ppm; lost readings are empty cells.

    A sensor's resistance follows a power of the concentration, as that of metal oxides does, changed by temperature, humidity and
    age.
    """
    exponents, base = random.uniform(0.25, 0.8, N_SENSORS), random.uniform(20, 60, N_SENSORS)
    warmth, moisture = random.uniform(-0.02, 0.02, N_SENSORS), random.uniform(-0.008, 0.004, N_SENSORS)
    tables = []
    for device in range(max(12, round(N_DEVICES * size))):
        n = max(20, round(READINGS * size))
        ppm = np.exp(random.uniform(np.log(2), np.log(400), n))
        temperature, humidity = random.uniform(5, 40, n), random.uniform(20, 90, n)
        age = np.sort(random.uniform(0, 24, n))[:, None]  # months
        made = random.normal(1, 0.08, N_SENSORS), exponents * random.normal(1, 0.03, N_SENSORS)
        drift = random.normal(0, 0.006, N_SENSORS) * age
        climate = warmth * (temperature - 20)[:, None] + moisture * (humidity - 50)[:, None]
        readings = base * made[0] * (ppm / 50)[:, None] ** -made[1] * np.exp(climate + drift)
        readings *= random.normal(1, 0.02, readings.shape)
        readings[random.random(readings.shape) < 0.002] = np.nan
        table = pd.DataFrame({"device": f"d{device:02}", "temperature": temperature, "humidity": humidity}).round(1)
        for sensor in range(N_SENSORS):
            table[f"sensor_{sensor + 1}"] = readings[:, sensor].round(3)
        tables.append(table.assign(ppm=ppm.round(1)))
    pd.concat(tables).to_csv(path, index=False)
