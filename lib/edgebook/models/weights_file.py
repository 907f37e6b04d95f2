"""Weights of a network from a file: a state dict of PyTorch, read without running anything, or safetensors."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from edgebook.errors import BadInput, line_of

INSIDE = ("state_dict", "model", "model_state_dict", "net")  # where training programs put a state dict
WRAPPER = "module."  # prefix of every name, after DataParallel
SHOWN = 3


def load_weights(model: nn.Module, path: Path, n_outputs: int) -> list[str]:
    """Load a file into the model, in place; the names of what was left as it is: an output layer of another number of outputs.

    Raises BadInput for a file that is no plain state dict, or whose names or shapes are not those of the model.
    """
    state = read_state(path)
    own = model.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unknown = [name for name in state if name not in own]
    if missing or unknown:
        parts = [f"{what} {_listed(names)}" for what, names in (("lacks", missing), ("has also", unknown)) if names]
        raise BadInput(f"{path}: {' and '.join(parts)}; allowed: the {len(own)} names of the model, such as {next(iter(own))}")
    differ = {name for name in own if name in state and own[name].shape != state[name].shape}
    head = {name for name in differ if _is_head(own[name], state[name], n_outputs)}
    if wrong := sorted(differ - head):
        given, wanted = tuple(state[wrong[0]].shape), tuple(own[wrong[0]].shape)
        raise BadInput(f"{path}: {wrong[0]} has the shape {given}; allowed: {wanted}, as the model is built")
    model.load_state_dict({name: tensor for name, tensor in state.items() if name not in head}, strict=False)
    return sorted(head)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name. Raises BadInput for anything but a state dict of tensors."""
    path = Path(path).expanduser()
    try:
        if path.suffix == ".safetensors":
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                state = load_file(path)
            except SafetensorError as error:
                raise BadInput(f"{path}: is no safetensors file: {line_of(str(error))}") from None
        else:
            with warnings.catch_warnings(action="ignore"):  # of another protocol of pickle: what follows is one line
                state = torch.load(path, map_location="cpu", weights_only=True)
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or line_of(str(error))}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        reason = _reason(str(error))
        raise BadInput(f"{path}: holds more than plain weights ({reason}); allowed: a state dict or safetensors") from None
    for name in INSIDE:
        if isinstance(state, dict) and isinstance(state.get(name), dict):
            state = state[name]
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise BadInput(f"{path}: holds {type(state).__name__}, not tensors by name; allowed: a state dict or safetensors")
    broken = [name for name, tensor in state.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if broken:
        raise BadInput(f"{path}: {broken[0]} has values that are NaN or infinite; allowed: finite weights")
    has_prefix = all(name.startswith(WRAPPER) for name in state)
    return {name.removeprefix(WRAPPER) if has_prefix else name: tensor for name, tensor in state.items()}


def _is_head(own: Tensor, given: Tensor, n_outputs: int) -> bool:
    """Whether two tensors differ in the number of outputs alone."""
    return own.ndim == given.ndim > 0 and own.shape[0] == n_outputs and own.shape[1:] == given.shape[1:]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _reason(message: str) -> str:
    """PyTorch's advice to load it anyway is none."""
    return "code that would run" if "weights_only" in message or "Unsupported" in message else line_of(message)[:100]
