"""Cost before training: the same files as after it, boards that they fit, layers that a runtime refuses."""

import textwrap

import pytest
import torch
from torch import nn

from edgebook.devices import device, fit
from edgebook.measure.profile import file_cost, profile, untrained
from edgebook.models import allow_network, build_model
from edgebook.models.batch_norm import NORMS
from edgebook.runtimes.refused_layers import refused_layers
from edgebook.training.loop import seed_all, train
from edgebook.training.recipe import Recipe

GENOTYPE = "stem 8k3s1 | ds 16k3s2 | plain 16k3s1 +skip | pool"


@pytest.fixture(scope="module")
def fresh(digits):
    seed_all(0)
    return build_model("searched", digits.input_shape, digits.n_outputs, genotype=GENOTYPE)


def test_the_file_is_as_large_as_after_training(fresh, digits):
    trained = train(fresh, digits, Recipe(epochs=1, batch_size=64, device="cpu"))
    before, after = (file_cost(net, digits, runtime="tflm") for net in (untrained(fresh, digits), trained))
    assert before["arena_bytes"] == after["arena_bytes"]
    assert before["size_bytes"] == pytest.approx(after["size_bytes"], abs=64)  # zero points that are equal by chance


def test_the_input_stays_as_it_is_and_no_batch_norm_is_empty(fresh, digits):
    net = untrained(fresh, digits)
    assert all((norm.bias == 0).all() and (norm.running_mean == 0).all() for norm in fresh.modules() if isinstance(norm, NORMS))
    assert all((norm.bias != 0).all() and (norm.running_mean != 0).any() for norm in net.modules() if isinstance(norm, NORMS))


def test_a_row_per_file_says_where_it_fits(fresh, digits):
    rows = profile(fresh, digits, runtimes=["tflm"], precisions=["fp32", "int8-static", "int8-dynamic"], seconds=0)
    assert [(row["precision"], row["status"]) for row in rows] == [("fp32", "ok"), ("int8-static", "ok")]
    assert rows[0]["size_bytes"] > rows[1]["size_bytes"] > rows[1]["n_params"] > 0
    assert rows[1]["score"] is None
    assert fit(rows[1], device("nrf52840"))["fits"] is True


def test_a_refused_network_names_its_layers(digits, tmp_path):
    (tmp_path / "net.py").write_text(
        textwrap.dedent(
            """
            from torch import nn

            def net(input_shape, n_outputs):
                first = nn.Sequential(nn.Conv2d(input_shape[0], 4, 3), nn.GELU())
                return nn.Sequential(first, nn.Flatten(), nn.Linear(144, n_outputs))
            """
        )
    )
    name = f"{tmp_path / 'net.py'}:net"
    allow_network(name)
    (row,) = profile(build_model(name, (1, 8, 8), 10), digits, runtimes=["tflm"], precisions=["fp32"], seconds=0)
    assert row["status"] == "unsupported"
    assert "GELU" in row["error"]
    assert row["extra"]["layers"] == ["0.1"]


def test_layers_that_run_an_operator_of_pytorch():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Sequential(nn.Sigmoid(), nn.Linear(4, 4), nn.Sigmoid())

        def forward(self, x):
            return self.b(self.a(x)).cumsum(1)

    assert refused_layers(Net(), torch.zeros(2, 4), "aten.sigmoid") == ["b.0", "b.2"]
    assert refused_layers(Net(), torch.zeros(2, 4), "aten:cumsum") == ["forward"]
    assert refused_layers(Net(), torch.zeros(2, 4), "aten.sort") == []
