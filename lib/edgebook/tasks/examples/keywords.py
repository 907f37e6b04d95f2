"""Spoken words, synthesized: voices of many homes, with what else is heard there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import wavfile

RATE, SAMPLES = 8000, 8000
N_HOMES = 16
TAKES = 12  # of each word in each home
BACKGROUND = 24  # recordings without a keyword in each home
# hiss before the vowel (share of the word), the vowel's first two formants at its start and at its end (Hz), hiss after it
WORDS = {
    "go": (0.0, (430, 850), (330, 700), 0.0),
    "no": (0.0, (300, 1350), (480, 850), 0.0),
    "stop": (0.35, (700, 1150), (650, 1000), 0.1),
    "yes": (0.0, (300, 2200), (560, 1750), 0.4),
}
Word = tuple[float, tuple[float, float], tuple[float, float], float]


@dataclass(frozen=True)
class Home:
    """Who speaks and what is heard there. pitch, hum: Hz. size: factor of the formants. noise: its share of low frequencies."""

    pitch: float
    size: float
    tempo: float
    hum: float
    noise: float


def write(folder: Path, random: np.random.Generator, size: float) -> None:
    """folder/<word>/h<home>_<take>.wav and folder/background/...: one second each, 16 bits at 8 kHz."""
    for word in (*WORDS, "background"):
        (folder / word).mkdir(parents=True)
    for number in range(N_HOMES):
        home = Home(*(random.uniform(*ends) for ends in ((95, 230), (0.85, 1.2), (0.8, 1.25), (90, 240), (0.2, 0.9))))
        takes = [(word, spec) for word, spec in WORDS.items() for _ in range(max(1, round(TAKES * size)))]
        takes += [("background", _other(random)) for _ in range(max(2, round(BACKGROUND * size)))]
        for take, (word, spec) in enumerate(takes):
            wave = _recorded(random, home, np.zeros(SAMPLES) if spec is None else _spoken(random, home, spec))
            wavfile.write(folder / word / f"h{number:02}_{take:03}.wav", RATE, (wave * 32767).astype(np.int16))


def _other(random: np.random.Generator) -> Word | None:
    """A word that is no keyword, or nothing said at all."""
    if random.random() < 0.5:
        return None
    starts, ends = ((random.uniform(280, 700), random.uniform(800, 2300)) for _ in range(2))
    return random.choice([0.0, 0.3]), starts, ends, random.choice([0.0, 0.3])


def _spoken(random: np.random.Generator, home: Home, word: Word) -> np.ndarray:
    """A word somewhere in a second of silence, its loudest value 1."""
    hiss_before, starts, ends, hiss_after = word
    n = round(SAMPLES * random.uniform(0.4, 0.55) / home.tempo)
    along = np.linspace(0, 1, n)
    is_vowel = (along >= hiss_before) & (along <= 1 - hiss_after)
    glide = ((along - hiss_before) / (1 - hiss_before - hiss_after)).clip(0, 1)
    pitch = home.pitch * random.uniform(0.92, 1.08) * (1.08 - 0.2 * along)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    vowel = np.zeros(n)
    for harmonic in range(1, int(RATE / 2 / pitch.max())):
        gain = sum(_resonance(harmonic * pitch, (a + (b - a) * glide) * home.size) for a, b in zip(starts, ends))
        vowel += gain * np.sin(harmonic * phase) / harmonic**0.5
    hiss = np.diff(random.normal(0, 0.4, n + 1))  # more high frequencies than low ones
    sound = np.where(is_vowel, vowel / np.abs(vowel).max(), hiss * 0.4) * np.sin(np.pi * along) ** 0.5
    wave, begin = np.zeros(SAMPLES), random.integers(0, SAMPLES - n + 1)
    wave[begin : begin + n] = sound / np.abs(sound).max()
    return wave


def _resonance(frequency: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return 1 / (1 + ((frequency - centre) / 90) ** 2)


def _recorded(random: np.random.Generator, home: Home, wave: np.ndarray) -> np.ndarray:
    """The wave as a microphone in that home gives it: noise, hum, a gain of its own, moments that are lost."""
    white = random.normal(0, 1, SAMPLES)
    low = np.convolve(white, np.ones(24) / 24**0.5, "same")
    noise = home.noise * low + (1 - home.noise) * white
    noise += np.sin(2 * np.pi * home.hum * np.arange(SAMPLES) / RATE + random.uniform(0, 6))
    noise *= 0.3 * 10 ** (-random.uniform(0, 24) / 20)  # 0 to 24 dB below a loud voice
    wave = (wave + noise) * random.uniform(0.25, 0.9)
    if random.random() < 0.1:
        begin = random.integers(0, SAMPLES - 400)
        wave[begin : begin + random.integers(160, 400)] = 0
    return wave.clip(-1, 1)
