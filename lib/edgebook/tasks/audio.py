"""Recordings -> features of one shape. soundfile reads them; what is cut off, of another rate or much too long, is broken.

Features are kept in the store, since they take a while.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebook import files
from edgebook.errors import BadInput, line_of
from edgebook.libraries import versions_of
from edgebook.paths import store_dir
from edgebook.source_key import closure
from edgebook.tasks.audio_features import features, recipe
from edgebook.tasks.description import AudioSettings, Description
from edgebook.tasks.extras import needed
from edgebook.tasks.folder import Listing
from edgebook.tasks.items import Items, check_broken, check_memory
from edgebook.user_data import data_digest

PART = 256  # recordings whose features are computed at once
OVERSIZE = 10.0  # times the wanted duration: a recording that long is no item
STREAMED = (0, 0xFFFFFFFF)  # sizes in a header that was written before the length was known
Opened = Callable[[int], Path | io.BytesIO]  # number of a recording -> its file


@dataclass(frozen=True)
class Header:
    """What a recording's header says."""

    rate: int
    seconds: float


def read_recordings(opened: Opened, listing: Listing, description: Description) -> Items:
    """x (n, 1, frames, features): like images, and like sequences for recurrent networks.

    Rate and duration are those of most files unless the description gives them. A file of another rate is broken unless a rate
    is given (then it is resampled); shorter recordings get silence at their end, longer ones are cut, much longer ones are
    broken. Several channels are averaged.
    """
    names, where = listing.names, str(listing.folder)
    headers, broken = _headers(opened, listing)
    made, notes = _settings(headers, description.audio, where)
    broken |= {n: reason for n, header in headers.items() if (reason := _unfit(header, made, description.audio))}
    lines = [f"{names[number]} {reason}" for number, reason in sorted(broken.items())]
    check_broken(lines, description.broken, where)  # before the features are computed, which takes longer
    x, unread = _stored(opened, listing, broken, made)
    return Items(
        x,
        listing.labels,
        lambda number: names[number],
        f"{made['features']} of {made['samples'] / made['rate']:g} s at {made['rate']} Hz, see audio",
        listing.groups,
        listing.splits,
        broken=broken | unread,
        settings={"audio": made},
        notes=(*listing.notes, *notes),
        class_names=listing.class_names,
        seconds=made["samples"] / made["rate"],
    )


def _headers(opened: Opened, listing: Listing) -> tuple[dict[int, Header], dict[int, str]]:
    """(headers of the files that have one, number of a file -> what is wrong with it)."""
    sound = needed("soundfile", extra="data", what="recordings")
    headers, broken = {}, dict(listing.broken)
    for number in range(len(listing.names)):
        if number in broken:
            continue
        try:
            info = sound.info(_source(opened(number)))
            missing = _missing_bytes(opened(number))
        except (RuntimeError, OSError) as error:  # libsndfile's own errors are RuntimeErrors
            broken[number] = f"cannot be read: {_reason(error)}"
            continue
        if info.frames == 0:
            broken[number] = "is empty"
        elif missing:
            broken[number] = f"is cut off: {missing} bytes are missing"
        else:
            headers[number] = Header(info.samplerate, info.frames / info.samplerate)
    if not headers:
        number, reason = next(iter(broken.items()))
        raise BadInput(f"{listing.folder}: no file can be read; {listing.names[number]} {reason}; allowed: recordings")
    return headers, broken


def _source(file: Path | io.BytesIO) -> str | io.BytesIO:
    return str(file) if isinstance(file, Path) else file


def _missing_bytes(file: Path | io.BytesIO) -> int:
    """Bytes that a WAV file lacks: libsndfile reads what is there of a file that was cut off, and says nothing."""
    with open(file, "rb") if isinstance(file, Path) else file as stream:
        start = stream.read(8)
        there = stream.seek(0, io.SEEK_END)
    size = int.from_bytes(start[4:8], "little")
    return 0 if start[:4] != b"RIFF" or size in STREAMED else max(0, size + 8 - there)


def _settings(headers: dict[int, Header], given: AudioSettings, where: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The recipe of the features, and what was done to recordings that are not like most."""
    rate = given.rate or Counter(header.rate for header in headers.values()).most_common(1)[0][0]
    seconds = given.seconds or Counter(round(header.seconds, 2) for header in headers.values()).most_common(1)[0][0]
    durations = np.array([header.seconds for header in headers.values()])
    counts = {
        f"get silence at their end, up to {seconds:g} s": int((durations < seconds - 0.5 / rate).sum()),
        f"are cut to {seconds:g} s": int(((durations > seconds + 0.5 / rate) & (durations <= OVERSIZE * seconds)).sum()),
        f"are resampled to {rate} Hz": sum(header.rate != rate for header in headers.values()) if given.rate else 0,
    }
    notes = tuple(f"{count} recordings {what}" for what, count in counts.items() if count)
    return recipe(given, rate, seconds, where), notes


def _unfit(header: Header, made: dict[str, Any], given: AudioSettings) -> str | None:
    """Why a recording is no item; None when it is one."""
    if header.rate != made["rate"] and given.rate is None:
        return f"has {header.rate} samples per second, others {made['rate']} (audio: rate resamples all)"
    wanted = made["samples"] / made["rate"]
    return f"lasts {header.seconds:.1f} s where {wanted:g} s are taken" if header.seconds > OVERSIZE * wanted else None


def _stored(opened: Opened, listing: Listing, broken: dict[int, str], made: dict[str, Any]) -> tuple[np.ndarray, dict[int, str]]:
    """(features (n, 1, frames, features), number of a file -> why it could not be read): from the store, or computed."""
    parts = {
        "files": [data_digest(listing.folder), listing.names],
        "recipe": made,
        "left_out": sorted(broken),
        "code": closure(_compute).digest,
        "libraries": versions_of(["librosa", "numpy", "scipy", "soundfile", "soxr"]),
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
    file = store_dir() / "features" / f"{key}.npz"
    if file.is_file():
        try:
            with np.load(file, allow_pickle=False) as stored:  # every array has a checksum
                x, unread = stored["x"], json.loads(str(stored["unread"]))
            files.touch(file)
            return x, {int(number): reason for number, reason in unread.items()}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            print(f"edgebook: {file} is damaged: made again", file=sys.stderr)
    x, unread = _compute(opened, len(listing.names), set(broken), made, str(listing.folder))
    buffer = io.BytesIO()
    np.savez(buffer, x=x, unread=np.array(json.dumps(unread)))
    files.write_bytes(file, buffer.getvalue())
    return x, unread


def _compute(opened: Opened, n: int, left_out: set[int], made: dict[str, Any], where: str) -> tuple[np.ndarray, dict[int, str]]:
    """Features of n files, zeros for those that are left out."""
    probe = features(np.zeros((1, made["samples"]), np.float32), made)[0]
    check_memory((n, *probe.shape), where)
    x, unread = np.zeros((n, 1, *probe.shape), np.float32), {}
    for start in range(0, n, PART):
        part = range(start, min(start + PART, n))
        signals = np.zeros((len(part), made["samples"]), np.float32)
        for number in part:
            if number not in left_out:
                try:
                    signals[number - start] = _signal(opened(number), made)
                except (RuntimeError, OSError) as error:
                    unread[number] = f"cannot be read: {_reason(error)}"
        x[part.start : part.stop, 0] = features(signals, made)
    return x, unread


def _signal(file: Path | io.BytesIO, made: dict[str, Any]) -> np.ndarray:
    """One recording, float32 (samples,): one channel, in the wanted rate and length."""
    sound = needed("soundfile", extra="data", what="recordings")
    wave, rate = sound.read(_source(file), dtype="float32", always_2d=True)
    wave = wave.mean(1)
    if rate != made["rate"]:
        wave = needed("soxr", extra="data", what="recordings of another rate").resample(wave, rate, made["rate"])
    signal = np.zeros(made["samples"], np.float32)
    signal[: len(wave)] = wave[: made["samples"]]
    return signal


def _reason(error: Exception) -> str:
    """libsndfile's reason without the path of the file."""
    return (line_of(str(error)) or type(error).__name__).rpartition(": ")[2][:100]
