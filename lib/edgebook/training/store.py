"""A content-addressed cache of models: the same question is never trained twice.

One entry is one file: what builds the dense net, the size of every leaf module, the state dict. A pruned net is
rebuilt by building the dense one and resizing its leaves, so that everything loads with `weights_only=True`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import time
import uuid
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import nn

from edgebook.models import rebuild
from edgebook.models.structure import describe
from edgebook.paths import store_dir
from edgebook.tasks.task import Task
from edgebook.training.loop import seed_all


@lru_cache
def source_closure(module: str) -> str:
    """sha256 over the source of a module and of every edgebook module that it imports, however deep."""
    seen: dict[str, str] = {}

    def visit(name: str) -> None:
        spec = importlib.util.find_spec(name)
        if name in seen or spec is None or not spec.origin:
            return
        seen[name] = Path(spec.origin).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(seen[name])):
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            for inner in found:
                if inner.startswith("edgebook.") and _is_module(inner):
                    visit(inner)

    visit(module)
    return hashlib.sha256(json.dumps(sorted(seen.items())).encode()).hexdigest()


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def weights_hash(model: nn.Module) -> str:
    """sha256 over names, shapes and bytes of the state dict and the module classes: the same in every process."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    digest.update(repr(model).encode())
    return digest.hexdigest()


def save(model: nn.Module, path: Path, **more: Any) -> None:
    """Write the model as one self-describing file, atomically. Only for models from `build_model`."""
    entry = {"spec": model.spec, "structure": describe(model), "state": model.state_dict(), **more}
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    torch.save(entry, draft)
    os.replace(draft, path)


def load(path: Path) -> nn.Module:
    """The model of a file that `save` wrote, in eval mode, with `.history` and `.key` as they were."""
    entry = torch.load(path, weights_only=True)
    model = rebuild(entry["spec"], entry["structure"])
    model.load_state_dict(entry["state"])
    model.history, model.key, model.seconds = entry.get("history", []), entry.get("key"), entry.get("seconds")
    return model.eval()


def cache_key(fn: Callable, model: nn.Module, task: Task, args: tuple, kwargs: dict[str, Any]) -> str:
    """What decides the result: code, arguments, the parent's weights and forward, the data, the arithmetic."""
    parts = {
        "fn": f"{fn.__module__}.{fn.__qualname__}",
        "code": [source_closure(fn.__module__), source_closure(type(model).__module__)],
        "arguments": [
            [str(name), weights_hash(value) if isinstance(value, nn.Module) else repr(value)]
            for name, value in (*enumerate(args), *sorted(kwargs.items()))
        ],
        "parent": [model.spec, weights_hash(model)],
        "task": task.fingerprint,
        "torch": [torch.__version__, torch.get_num_threads(), torch.cuda.is_available()],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def cached(fn: Callable[..., nn.Module], model: nn.Module, task: Task, *args: Any, **kwargs: Any) -> nn.Module:
    """`fn(model, task, **kwargs)`, or the stored result of the same call; `.key` names it, `.seconds` is what it cost.

    The arguments must be plain data or models. Random numbers are seeded from the key, so order and resume change nothing.
    """
    key = cache_key(fn, model, task, args, kwargs)
    path = store_dir() / f"{key}.pt"
    if not path.exists():
        with FileLock(path.with_suffix(".lock")):  # two notebooks at once ask for the same baseline: one trains it
            if not path.exists():
                seed_all(int(key[:8], 16))
                started = time.perf_counter()
                result = fn(model, task, *args, **kwargs)
                save(result, path, history=getattr(result, "history", []), key=key, seconds=time.perf_counter() - started)
    return load(path)
