"""Files that are made once: exported models in the store, copied to where they are asked for."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import uuid
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgebook import lock, runtimes
from edgebook.errors import BadInput
from edgebook.runtimes import Artifact, Quant
from edgebook.runtimes.quiet import quiet
from edgebook.store import source_closure, store_dir, weights_hash
from edgebook.tasks import Task


def calibration_items(task: Task, quant: Quant) -> np.ndarray:
    """`quant.n_calibration` training items (n, ...), drawn by `quant.seed`: never validation, never test."""
    if quant.n_calibration < 1:
        raise BadInput(f"n_calibration: {quant.n_calibration}; at least 1 item is needed")
    order = torch.randperm(len(task.x_train), generator=torch.Generator().manual_seed(quant.seed))
    return task.x_train[order[: quant.n_calibration]].numpy()


def _key(model: nn.Module, task: Task, name: str, quant: Quant | None) -> str:
    parts = [
        source_closure(runtimes.RUNTIMES[name]),
        source_closure(type(model).__module__),
        weights_hash(model),
        list(task.input_shape),
        runtimes.versions(name),
        [asdict(quant), task.fingerprint] if quant else None,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def _stored(model: nn.Module, task: Task, name: str, quant: Quant | None) -> Path:
    """The stored file, made when it is not there yet."""
    module = runtimes.runtime(name)
    folder = store_dir() / "files" / _key(model, task, name, quant)
    path = folder / f"model{module.EXTENSION}"
    if folder.exists():
        return path
    parent = _stored(model, task, name, None) if quant else None
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir(parents=True)
    try:
        with lock.training(), quiet():
            if quant:
                module.quantize(parent, draft / path.name, quant, calibration_items(task, quant))
            else:
                clean = copy.deepcopy(model).cpu().eval().requires_grad_(False)
                module.convert(clean, task.x_train[:1], draft / path.name)
        if not folder.exists():
            os.rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return path


def export(model: nn.Module, task: Task, path: Path, *, runtime_name: str, quant: Quant | None) -> Artifact:
    """See `edgebook.runtimes.export`."""
    source = _stored(model, task, runtime_name, quant)
    target = Path(path).with_name(Path(path).name + source.suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    for file in source.parent.iterdir():
        beside = target.parent / file.name.replace("model", target.name.removesuffix(source.suffix), 1)
        shutil.copyfile(file, beside)
    named = getattr(runtimes.runtime(runtime_name), "precision", lambda model: "fp32")  # a model may bring its own integers
    return Artifact(target, runtime_name, quant.precision if quant else named(model))
