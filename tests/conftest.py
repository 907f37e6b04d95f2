"""What is expensive is made once a session: a store and a reports folder of the tests' own, one trained net."""

import os
import tempfile

import pytest
from hypothesis import settings

_home = tempfile.TemporaryDirectory(prefix="edgebook-tests-")
os.environ |= {
    "EDGEBOOK_STORE": f"{_home.name}/store",
    "EDGEBOOK_REPORTS": f"{_home.name}/reports",
    "EDGEBOOK_LOCK": f"{_home.name}/lock",
}

# neither chance nor the machine's speed decides whether a test passes
settings.register_profile("tests", deadline=None, derandomize=True)
settings.load_profile("tests")

import torch  # noqa: E402
from ssh_server import ssh_server, ssh_url  # noqa: E402, F401

from edgebook.models import build_model  # noqa: E402
from edgebook.tasks import load_task  # noqa: E402
from edgebook.training.loop import seed_all, train  # noqa: E402
from edgebook.training.recipe import Recipe  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mnist1d():
    return load_task("mnist1d")


@pytest.fixture(scope="session")
def digits():
    return load_task("digits")


@pytest.fixture(scope="session")
def net(mnist1d):
    """A conv1d that learned a little: far from chance, seconds to make."""
    seed_all(0)
    fresh = build_model("conv1d", mnist1d.input_shape, mnist1d.n_outputs)
    return train(fresh, mnist1d, Recipe(epochs=8, batch_size=100, device="cpu"))
