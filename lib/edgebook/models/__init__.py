"""Networks: plain nn.Modules, one family a file; MODELS names the functions that build them.

A model built here carries `model.spec`, the small description it can be rebuilt from
(`{"model", "input_shape", "n_outputs", "shape"}`); `copy.deepcopy` keeps it.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from edgebook.errors import BadInput, pick
from edgebook.models import cnn, ds_cnn, mlp, mobilenet_v2, recurrent, resnet8, squeezenet
from edgebook.models.layers import positive_ints


def build_model(name: str, input_shape: Sequence[int], n_outputs: int, **shape) -> nn.Module:
    """A new model, with `model.spec` = {"model", "input_shape", "n_outputs", "shape"} as given, in plain data.

    name: one of MODELS, or `path/to/file.py:function` for a function `(input_shape, n_outputs, **shape) -> Module`.
    Weights are drawn from torch's global generator: seed it first.
    Raises BadInput for an unknown name, a keyword that the model lacks, or an input that it does not take.
    """
    build = _from_file(name) if ".py" in name else pick(MODELS, name, "model")
    _check_keywords(name, build, shape)
    input_shape = positive_ints(name, "input_shape", input_shape)
    (n_outputs,) = positive_ints(name, "n_outputs", n_outputs, n=1)
    model = build(input_shape, n_outputs, **shape)
    if not isinstance(model, nn.Module):
        raise BadInput(f"model {name} returned {type(model).__name__}; allowed: a torch.nn.Module")
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in shape.items()}
    model.spec = {"model": name, "input_shape": list(input_shape), "n_outputs": n_outputs, "shape": plain}
    return model


def _check_keywords(name: str, build: Callable[..., nn.Module], shape: dict) -> None:
    parameters = list(inspect.signature(build).parameters.values())[2:]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters]
    unknown = sorted(set(shape) - set(known))
    if unknown:
        raise BadInput(f"model {name} has no shape parameter {', '.join(unknown)}; known: {', '.join(known) or 'none'}")


def _from_file(name: str) -> Callable[..., nn.Module]:
    """The function that `path/to/file.py:function` names; the file is run, as an import would."""
    path, colon, function = name.rpartition(":")
    if not colon:
        raise BadInput(f"model {name!r} names no function; allowed: path/to/file.py:function")
    file = Path(path).expanduser()
    if not file.is_file():
        raise BadInput(f"model {name!r}: no file {file}; allowed: path/to/file.py:function")
    spec = importlib.util.spec_from_file_location(f"edgebook_user_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses in the file look their module up here
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError) as error:
        raise BadInput(f"model {name!r}: {file} does not import: {error}") from error
    if not callable(getattr(module, function, None)):
        functions = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise BadInput(f"model {name!r}: {file} has no function {function!r}; it has: {', '.join(functions) or 'none'}")
    return getattr(module, function)


MODELS = {
    "conv1d": cnn.conv1d,
    "ds_cnn": ds_cnn.ds_cnn,
    "gru": recurrent.gru,
    "lightweight_cnn": cnn.lightweight_cnn,
    "lstm": recurrent.lstm,
    "mlp": mlp.mlp,
    "mobilenet_v2": mobilenet_v2.mobilenet_v2,
    "resnet8": resnet8.resnet8,
    "squeezenet": squeezenet.squeezenet,
}
