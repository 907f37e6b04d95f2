"""Trained and compressed networks, and tensors, kept by everything that decides them: the same question is answered once.

One entry is one file: a line with the format and the sha256 of the rest, then plain data written by `torch.save`: what
rebuilds the network (`models.rebuild`) and its state dict. Loading runs no code that an entry names.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor, nn

from edgebook import files
from edgebook.errors import BadInput
from edgebook.metrics import METRICS
from edgebook.models import MODELS, WRAPPERS, rebuild
from edgebook.models.structure import describe
from edgebook.naming import is_path
from edgebook.paths import stored_network
from edgebook.source_key import closure
from edgebook.tasks.kinds import KINDS
from edgebook.tasks.task import Task
from edgebook.training.loop import seed_all
from edgebook.training.recipe import Recipe
from edgebook.training.weights import tensor_hash, weights_hash
from edgebook.user_source import user_source

FORMAT = b"edgebook network 2"


class Unreadable(BadInput):
    """An entry that is damaged or of another version: made again where the store is asked, an error elsewhere."""


def cached(fn: Callable[..., nn.Module], model: nn.Module, task: Task, *args: Any, **kwargs: Any) -> nn.Module:
    """`fn(model, task, *args, **kwargs)`, or the stored result of the same call; `.key` names it, `.seconds` is what it cost.

    The arguments are plain data, recipes, tensors or networks. Random numbers are seeded from the key, so that order and resuming
    change nothing. Raises BadInput for other arguments, and when a result that is not there yet could not be written.
    """
    key = cache_key(fn, model, task, *args, **kwargs)

    def make() -> dict[str, Any]:
        result, seconds = _called(key, fn, model, task, args, kwargs)
        return _content(result, history=getattr(result, "history", []), key=key, seconds=seconds)

    return _model(_stored(key, make))


def cached_tensor(fn: Callable[..., Tensor], model: nn.Module, task: Task, *args: Any, **kwargs: Any) -> Tensor:
    """The same for a function that returns one tensor, such as a teacher's outputs."""
    key = cache_key(fn, model, task, *args, **kwargs)

    def make() -> dict[str, Any]:
        tensor, seconds = _called(key, fn, model, task, args, kwargs)
        return {"tensor": tensor, "key": key, "seconds": seconds}

    return _stored(key, make)["tensor"]


def _stored(key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The entry of a key, made where there is none."""
    path = stored_network(key)
    stored = _read(path)
    if stored is None:
        files.check_writable(path.parent)
        lock = FileLock(path.with_suffix(".lock"))
        with lock:  # two notebooks at once need the same baseline: one trains it
            stored = _read(path)
            if stored is None:
                write(path, make())
                stored = read(path)
            Path(lock.lock_file).unlink(missing_ok=True)
    return stored


def _called(key: str, fn: Callable[..., Any], model: nn.Module, task: Task, args: tuple, kwargs: dict) -> tuple[Any, float]:
    """What the function returns, and the seconds that it took."""
    seed_all(int(key[:8], 16))
    started = time.perf_counter()
    result = fn(model, task, *args, **kwargs)
    return result, time.perf_counter() - started


def save(model: nn.Module, path: Path, **more: Any) -> None:
    """Write a network that has a `.spec` as one file, whole or not at all; `more` is plain data."""
    write(path, _content(model, **more))


def _content(model: nn.Module, **more: Any) -> dict[str, Any]:
    return {"spec": model.spec, "structure": describe(model), "state": model.state_dict(), **more}


def write(path: Path, content: dict[str, Any]) -> None:
    """Write plain data and tensors as one file with its checksum, whole or not at all."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    files.write_sealed(path, FORMAT, buffer.getvalue())


def load(path: Path) -> nn.Module:
    """The network of a file that `save` wrote, in eval mode, with `.history`, `.key` and `.seconds` as they were.

    Raises BadInput when the file is absent, damaged or of another version, or when its network's own file may not run.
    """
    return _model(read(path))


def read(path: Path) -> dict[str, Any]:
    """The content of such a file. Raises Unreadable, with the file and the reason, unless it is whole and of this version."""
    try:
        content = files.read_sealed(path, FORMAT)
    except ValueError as error:
        raise Unreadable(str(error)) from None
    try:
        return torch.load(io.BytesIO(content), weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, AttributeError):
        raise Unreadable(f"{path}: holds more than plain data, which could run code") from None


def _read(path: Path) -> dict[str, Any] | None:
    """The same, or None for an entry that has to be made; one that is made again is named."""
    if not path.exists():
        return None
    try:
        content = read(path)
        files.touch(path)
        return content
    except Unreadable as error:
        print(f"edgebook: {error}; made again", file=sys.stderr, flush=True)
        return None


def _model(entry: dict[str, Any]) -> nn.Module:
    model = rebuild(entry["spec"], entry["structure"])
    model.load_state_dict(entry["state"])
    model.history, model.key, model.seconds = entry.get("history", []), entry.get("key"), entry.get("seconds")
    return model.eval()


def cache_key(fn: Callable[..., nn.Module], model: nn.Module, task: Task, *args: Any, **kwargs: Any) -> str:
    """What decides the result: code and libraries, arguments, the networks that go in, the data, the arithmetic.

    Raises BadInput for arguments that are none of plain data, recipes, tensors and networks.
    """
    given = inspect.signature(fn).bind(model, task, *args, **kwargs).arguments
    arguments = dict(list(given.items())[2:])
    networks = [model, *(value for value in _inner(arguments) if isinstance(value, nn.Module))]
    plain = {name: _plain(f"{fn.__name__}: {name}", value) for name, value in arguments.items()}
    code = closure(
        fn, *_methods(task, arguments), *network_code(*networks), names=_texts([plain, [net.spec for net in networks]])
    )
    parts = {
        "format": FORMAT.decode(),
        "fn": f"{fn.__module__}.{fn.__qualname__}",
        "code": code.digest,
        "arguments": plain,
        "networks": [_network(network) for network in networks],
        "task": task.fingerprint,
        "arithmetic": [torch.get_num_threads(), torch.cuda.is_available()],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def _plain(where: str, value: Any) -> Any:
    """An argument as JSON has it; a network by its hash."""
    if isinstance(value, nn.Module):
        return {"network": weights_hash(value)}
    if isinstance(value, Tensor):
        return {"tensor": tensor_hash(value)}
    if isinstance(value, Recipe):
        return {"recipe": asdict(value)}
    if isinstance(value, dict):
        return {str(key): _plain(where, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(where, inner) for inner in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise BadInput(
        f"{where} = {value!r:.80}: allowed: plain data, a Recipe, a tensor or a network, so that the result can be stored"
    )


def _inner(value: Any) -> Iterator[Any]:
    """A value and all that it holds."""
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from _inner(inner)


def _texts(value: Any) -> set[str]:
    return {inner for inner in _inner(value) if isinstance(inner, str)}


def _methods(task: Task, arguments: dict[str, Any]) -> list[Any]:
    """What techniques call through the task. Its augmentation counts unless no recipe uses it."""
    recipes = [value for value in _inner(arguments) if isinstance(value, Recipe)]
    augments = task.augment is not None and (not recipes or any(recipe.augment for recipe in recipes))
    return [KINDS[task.kind_name], METRICS[task.metric.name], *([task.augment] if augments else [])]


def network_code(*networks: nn.Module) -> list[str]:
    """Roots for `source_key.closure`: the classes of all layers, whose methods are called through a network, and the functions
    that build it again.
    """
    layers = {type(module) for network in networks for module in network.modules()}
    builders = [MODELS[network.spec["model"]] for network in networks if not is_path(network.spec["model"])]
    wrappers = [WRAPPERS[wrapper["name"]] for network in networks for wrapper in network.spec["wrappers"]]
    return sorted({f"{layer.__module__}:{layer.__qualname__.split('.')[0]}" for layer in layers} | {*builders, *wrappers})


def _network(network: nn.Module) -> list[Any]:
    """A network with its weights; one of the user's own with the files that it is made of."""
    name = network.spec["model"]
    return [network.spec, weights_hash(network), user_source(name) if is_path(name) else {}]
