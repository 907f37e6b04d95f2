"""Networks: plain nn.Modules, one family per file; MODELS names the functions that build them.

A network built here carries `model.spec`, plain data that `rebuild` makes a network of the same form from:
`{"model", "input_shape", "n_outputs", "shape", "wrappers"}`; `copy.deepcopy` keeps it. Importing this package does not
import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgebook.errors import BadInput
from edgebook.models.constructor import construct
from edgebook.models.own_network import allow_network, build_own
from edgebook.naming import is_path
from edgebook.registry import pick

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MODELS", "WRAPPERS", "allow_network", "build_model", "rebuild"]

MODELS = {
    "autoencoder": "edgebook.models.autoencoder:autoencoder",
    "conv1d": "edgebook.models.cnn:conv1d",
    "ds_cnn": "edgebook.models.ds_cnn:ds_cnn",
    "edge_cnn": "edgebook.models.edge_cnn:edge_cnn",
    "gru": "edgebook.models.recurrent:gru",
    "lightweight_cnn": "edgebook.models.cnn:lightweight_cnn",
    "lstm": "edgebook.models.recurrent:lstm",
    "mlp": "edgebook.models.mlp:mlp",
    "mobilenet_v2": "edgebook.models.mobilenet_v2:mobilenet_v2",
    "resnet8": "edgebook.models.resnet8:resnet8",
    "searched": "edgebook.models.searched:searched",
    "squeezenet": "edgebook.models.squeezenet:squeezenet",
    "unet": "edgebook.models.unet:unet",
}

# what a technique makes of a whole network: (network) -> network; a spec lists them in the order in which they were applied
WRAPPERS = {
    "plain": "edgebook.models.parametrizations:plain",
    "folded": "edgebook.models.batch_norm:fold",
    "fake_quantized": "edgebook.models.fake_quantized:prepare",
    "streaming": "edgebook.models.streaming:stream",
}


def build_model(name: str, input_shape: Sequence[int], n_outputs: int, /, **shape: Any) -> nn.Module:
    """A new network, with `model.spec`.

    name: one of MODELS, or a network of the user's own that is allowed (`allow_network`): a function or class in a file,
    `path/to/file.py:name`, or in an installed package, `package.module:name`, or a program that torch.export wrote, `net.pt2`.
    Weights are drawn from torch's global generator: seed it first.
    Raises BadInput for an unknown name, a keyword that the model lacks, an input that it does not take, a file that is not
    allowed or that fails.
    """
    from torch import nn

    from edgebook.models.layers import materialize, positive_ints
    from edgebook.models.parametrizations import with_parametrizations

    input_shape = positive_ints(name, "input_shape", input_shape)
    (n_outputs,) = positive_ints(name, "n_outputs", n_outputs, n=1)
    if is_path(name):
        model = build_own(name, input_shape, n_outputs, shape)
    else:
        model = construct(name, pick(MODELS, name, "model"), input_shape, n_outputs, shape)
    if not isinstance(model, nn.Module):
        raise BadInput(f"model {name} returned {type(model).__name__}; allowed: a torch.nn.Module")
    with_parametrizations(model)
    materialize(name, model, input_shape)
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in shape.items()}
    model.spec = {"model": name, "input_shape": list(input_shape), "n_outputs": n_outputs, "shape": plain, "wrappers": []}
    return model


def rebuild(spec: dict[str, Any], structure: dict[str, Any] | None = None) -> nn.Module:
    """An untrained network of the form that `spec` describes, in eval mode, ready to load a state dict.

    structure: what `structure.describe` gave of a network that is not as its builder makes it, such as a pruned one. Builders
    and wrappers are looked up in MODELS and WRAPPERS: a spec never names code to import, and a user's file runs only when it
    is allowed. Raises BadInput otherwise.
    """
    from edgebook.models.structure import resize

    model = build_model(spec["model"], spec["input_shape"], spec["n_outputs"], **spec["shape"])
    for wrapper in spec["wrappers"]:
        if "structure" in wrapper:  # the wrapper was applied to a network of other sizes
            resize(model, wrapper["structure"])
        model = pick(WRAPPERS, wrapper["name"], "wrapper")(model)
    return (resize(model, structure) if structure else model).eval()
