"""What a network gives is checked before it is trained, in one line."""

import pytest
import torch
from torch import nn

from edgebook.errors import BadInput
from edgebook.models import MODELS, build_model
from edgebook.tasks import load_task
from edgebook.training.network_check import check_network


class Gives(nn.Module):
    """A dense network whose outputs are changed by a function."""

    def __init__(self, change, n_outputs=10):
        super().__init__()
        self.linear, self.change = nn.Linear(40, n_outputs), change
        self.spec = {"model": "own.py:net"}

    def forward(self, x):
        return self.change(self.linear(x.flatten(1)))


class Uncopied(Gives):
    """A network that keeps what it computed last, as some people do to look at it."""

    def __init__(self):
        super().__init__(lambda y: y)
        self.last = self.linear(torch.zeros(1, 40))


NEEDED = "the task needs (2, 10)"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Gives(lambda y: (y, y)), "gives a tuple (2 parts); allowed: one tensor of shape (n, 10)"),
        (Gives(lambda y: [y]), "gives a list (1 parts); allowed: one tensor of shape (n, 10)"),
        (Gives(lambda y: {"logits": y, "mask": y}), "gives a dict (logits, mask); allowed: one tensor of shape (n, 10)"),
        (Gives(lambda y: None), "gives a NoneType; allowed: one tensor of shape (n, 10)"),
        (Gives(lambda y: y[..., None, None]), f"gives outputs of shape (2, 10, 1, 1) for 2 items; {NEEDED}"),
        (Gives(lambda y: y, 7), f"gives outputs of shape (2, 7) for 2 items; {NEEDED}"),
        (Gives(lambda y: y.argmax(1)), f"gives outputs of shape (2,) for 2 items; {NEEDED}"),
        (Gives(lambda y: y[:1]), f"gives outputs of shape (1, 10) for 2 items; {NEEDED}"),
        (Gives(lambda y: y / 0), "gives outputs that are not finite numbers"),
        (Gives(lambda y: y.detach()), "gives outputs that no parameter can learn from"),
        (Gives(lambda y: y @ y), "cannot be called with items of shape (1, 40): RuntimeError: mat1 and mat2"),
        (Uncopied(), "cannot be copied: RuntimeError: Only Tensors created explicitly by the user"),
        (Gives(lambda y: y).requires_grad_(False), "has no parameters to train"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(model, said, mnist1d):
    with pytest.raises(BadInput) as error:
        check_network(model, mnist1d)
    assert f"model own.py:net {said}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_compiled_script_is_named(mnist1d):
    script = torch.jit.trace(nn.Sequential(nn.Flatten(), nn.Linear(40, 10)), torch.zeros(2, 1, 40))
    script.spec = {"model": "own.py:net"}
    with pytest.raises(BadInput, match=r"a copy of it cannot train 1\.weight; allowed: a plain nn\.Module"):
        check_network(script, mnist1d)


@pytest.mark.parametrize(
    ("task", "name"),
    [("mnist1d", "gru"), ("digits", "resnet8"), ("diabetes", "mlp"), ("vibration", "autoencoder"), ("shapes", "unet")],
)
def test_networks_of_every_kind_fit(task, name):
    data = load_task(task)
    model = build_model(name, data.input_shape, data.n_outputs).train()
    before = torch.get_rng_state()
    check_network(model, data)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    assert name in MODELS
