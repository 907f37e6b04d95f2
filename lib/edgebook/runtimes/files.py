"""Files that are made once: exported models in the store, copied to where they are asked for."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import shutil
import uuid
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgebook import lock, runtimes
from edgebook.errors import BadInput, Unsupported
from edgebook.paths import store_dir
from edgebook.runtimes import Artifact, Quant
from edgebook.runtimes.quiet import quiet
from edgebook.tasks import Task
from edgebook.training.store import source_closure, weights_hash


def calibration_items(task: Task, quant: Quant) -> np.ndarray:
    """`quant.n_calibration` training items (n, ...), drawn by `quant.seed`: never validation, never test."""
    if quant.n_calibration < 1:
        raise BadInput(f"n_calibration: {quant.n_calibration}; at least 1 item is needed")
    order = torch.randperm(len(task.x_train), generator=torch.Generator().manual_seed(quant.seed))
    return task.x_train[order[: quant.n_calibration]].numpy()


def _key(model: nn.Module, task: Task, name: str, quant: Quant | None, batch_size: int = 1) -> str:
    parts = [
        source_closure(runtimes.RUNTIMES[name]),
        source_closure(__name__),
        source_closure(type(model).__module__),
        weights_hash(model),
        list(task.input_shape),
        runtimes.versions(name),
        [asdict(quant), task.fingerprint] if quant else None,
        name,
        batch_size,
    ]
    if parent := getattr(runtimes.runtime(name), "PARENT", None):
        parts.append(_key(model, task, parent, quant))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def _stored(model: nn.Module, task: Task, name: str, quant: Quant | None, batch_size: int = 1) -> Path:
    """The stored file, made when it is not there yet."""
    module = runtimes.runtime(name)
    folder = store_dir() / "files" / _key(model, task, name, quant, batch_size)
    path = folder / f"model{module.EXTENSION}"
    if folder.exists():
        return path
    if hasattr(model, "step") and not getattr(module, "STREAMS", False):
        able = [other for other in runtimes.RUNTIMES if getattr(runtimes.runtime(other), "STREAMS", False)]
        raise Unsupported(f"{name} takes the recurrent layer whole, not one step at a time; {', '.join(able)} run it so")
    derived = _stored(model, task, module.PARENT, quant) if hasattr(module, "PARENT") else None
    from_file = quant and not derived and hasattr(module, "quantize")
    parent = _stored(model, task, name, None) if from_file else derived
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir(parents=True)
    try:
        with lock.training(), quiet():
            facts = _make(module, name, model, task, quant, parent, draft / path.name, batch_size)
    except Exception as error:
        if operator := re.search(r"(?:Lowering not found: |Operator torch\._ops\.|op=')((?:aten|prims)[.:]\w+)", str(error)):
            raise Unsupported(f"{name} has no operator {operator[1]}") from error
        raise
    else:
        (draft / "facts.json").write_text(json.dumps(facts))
        if not folder.exists():
            os.rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return path


def _make(
    module, name: str, model: nn.Module, task: Task, quant: Quant | None, parent: Path | None, path: Path, batch_size: int
) -> dict:
    """Write the file at `path`, in one of the four ways that a runtime has; what is known of it, as a row's columns.

    With `finish` the file that others derive from is kept beside it as `whole.*`.
    """
    facts, whole = {}, path.with_name(f"whole{module.EXTENSION}")
    made = whole if hasattr(module, "finish") else path
    clean = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    for tensor in (*clean.parameters(), *clean.buffers()):
        tensor.data = tensor.data.contiguous()  # LiteRT's converter mixes up channels-last weights of two nets in a process
    if hasattr(module, "PARENT"):
        facts = json.loads((parent.parent / "facts.json").read_text())
        facts |= (more := module.derive(parent, path, name)) | {"extra": {**facts.get("extra", {}), **more.get("extra", {})}}
    elif not quant:
        module.convert(clean, task.x_train[:batch_size], made)
    elif parent:
        kept = parent.with_name(f"whole{module.EXTENSION}")
        module.quantize(kept if kept.exists() else parent, made, quant, calibration_items(task, quant))
    else:
        module.quantize_model(clean, made, quant, calibration_items(task, quant))
    return module.finish(whole, path, task.x_train[:8].numpy()) if hasattr(module, "finish") else facts


def export(model: nn.Module, task: Task, path: Path, *, runtime_name: str, quant: Quant | None, batch_size: int) -> Artifact:
    """See `edgebook.runtimes.export`."""
    able = [name for name in runtimes.RUNTIMES if getattr(runtimes.runtime(name), "BATCHES", False)]
    if batch_size > 1 and (quant or runtime_name not in able or hasattr(model, "step")):
        raise Unsupported(f"{runtime_name}: {batch_size} items a call are for float files of {', '.join(able)}")
    source = _stored(model, task, runtime_name, quant, batch_size)
    target = Path(path).with_name(Path(path).name + source.suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    for file in source.parent.glob("model*"):
        beside = target.parent / file.name.replace("model", target.name.removesuffix(source.suffix), 1)
        shutil.copyfile(file, beside)
    facts = json.loads((source.parent / "facts.json").read_text())
    named = getattr(runtimes.runtime(runtime_name), "precision", runtimes.own_precision)
    return Artifact(target, runtime_name, quant.precision if quant else named(model), facts)
