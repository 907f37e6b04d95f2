"""Data of the worked examples, written as files the way that people have theirs; EXAMPLES names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput
from edgebook.files import write_text
from edgebook.registry import pick, resolve

SEED = 20260301


@dataclass(frozen=True)
class Example:
    """write: "module:function" of (path of the data, random generator, size). data: file or folder. description: of the data.

    size: 1 is the whole example, 0.1 about a tenth of its items.
    """

    write: str
    data: str
    description: dict[str, Any]
    what: str  # for people


EXAMPLES = {
    "gas_sensor": Example(
        "edgebook.tasks.examples.gas_sensor:write",
        "gas_sensor.csv",
        {"kind": "regression", "label": "ppm", "group": "device", "broken": "skip"},
        "readings of gas sensors and the true concentration: a table",
    ),
    "heart_beats": Example(
        "edgebook.tasks.examples.heart_beats:write",
        "heart_beats.parquet",
        {
            "label": "beat",
            "group": "patient",
            "metric": "balanced_accuracy",
            "class_weights": True,
            "broken": "skip",
            "val_share": 0.15,
        },
        "heart beats of patients: a table with a sequence in each row",
    ),
    "keywords": Example(
        "edgebook.tasks.examples.keywords:write",
        "keywords",
        {"group": "/(h[0-9]+)_", "background": ["background"], "test_share": 0.3, "audio": {"n_mels": 20, "hop_ms": 25.0}},
        "spoken words and what else is heard at home: recordings in folders of classes",
    ),
    "machines": Example(
        "edgebook.tasks.examples.machines:write",
        "machines.csv",
        {"kind": "anomaly", "label": "state", "normal": "normal", "group": "machine", "test_share": 0.3, "val_share": 0.15},
        "vibration of machines, hardly ever faulty: a table",
    ),
    "roads": Example(
        "edgebook.tasks.examples.roads:write",
        "roads",
        {"group": "drive([0-9]+)_", "classes": ["ground", "road", "marking"], "test_share": 0.3},
        "views of a road and their masks: images",
    ),
    "sorting": Example(
        "edgebook.tasks.examples.sorting:write",
        "sorting",
        {"test_share": 0.25},
        "parts on a belt, by class: images of Fashion-MNIST under changing light",
    ),
}


def write_example(name: str, folder: Path, *, size: float = 1.0) -> Path:
    """The description of an example, written with its data into a folder; the same files for the same name and size.

    Raises BadInput for an unknown name, or for data that are there already.
    """
    import yaml

    example = pick(EXAMPLES, name, "example")
    data, description = folder / example.data, folder / f"{name}.yaml"
    if there := [path for path in (data, description) if path.exists()]:
        raise BadInput(f"{there[0]}: is there already; allowed: a folder without it")
    folder.mkdir(parents=True, exist_ok=True)
    resolve(example.write)(data, np.random.default_rng(SEED), size)
    content = yaml.safe_dump({"path": example.data, **example.description}, sort_keys=False)
    write_text(description, f"# {example.what}\n{content}")
    return description
