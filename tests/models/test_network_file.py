"""The user's own networks: run only when allowed, anything that they raise is one line, names do not collide."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from edgebook.errors import BadInput
from edgebook.models import allow_network, build_model, rebuild
from edgebook.models.network_file import VARIABLE

NET = """
from math import prod
from torch import nn

def net(input_shape, n_outputs, *, bias=True):
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), n_outputs, bias=bias))

def number(input_shape, n_outputs):
    return 3

def fails(input_shape, n_outputs):
    raise ZeroDivisionError("no such width\\nand more")

def leaves(input_shape, n_outputs):
    raise SystemExit(3)
"""


@pytest.fixture(autouse=True)
def no_network_is_allowed(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")


def written(folder, text, name="mine.py"):
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(text)
    allow_network(f"{file}:net")
    return file


def test_a_network_of_the_users_own_file(tmp_path):
    file = written(tmp_path, NET)
    model = build_model(f"{file}:net", (1, 4), 2, bias=False)
    assert sum(parameter.numel() for parameter in model.parameters()) == 8
    shape = {"bias": False}
    assert model.spec == {"model": f"{file}:net", "input_shape": [1, 4], "n_outputs": 2, "shape": shape, "wrappers": []}
    assert repr(rebuild(model.spec)) == repr(model)


@pytest.mark.parametrize(
    ("function", "shape", "says"),
    [
        (":nett", {}, "it has: net, number, fails, leaves"),
        (":number", {}, "returned int; allowed: a torch.nn.Module"),
        (":net", {"depth": 2}, "no shape parameter depth; allowed: bias"),
        (":fails", {}, "cannot be built: ZeroDivisionError: no such width"),
        (":leaves", {}, "cannot be built: SystemExit: 3"),
        ("", {}, "names no function"),
    ],
)
def test_what_is_wrong_is_one_line(function, shape, says, tmp_path):
    file = written(tmp_path, NET)
    with pytest.raises(BadInput) as caught:
        build_model(f"{file}{function}", (1, 4), 2, **shape)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def net(:\n", "SyntaxError"),
        ("import absent_package\n", "ModuleNotFoundError: No module named 'absent_package'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(1)\n", "SystemExit"),
    ],
)
def test_a_file_that_does_not_import_is_one_line(text, says, tmp_path):
    file = written(tmp_path, text)
    with pytest.raises(BadInput, match=says) as caught:
        build_model(f"{file}:net", (1, 4), 2)
    assert "\n" not in str(caught.value)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"no file .*absent\.py"):
        build_model(f"{tmp_path}/absent.py:net", (1, 4), 2)


def test_a_file_that_the_user_did_not_allow_never_runs(tmp_path):
    """A stored model may come from elsewhere: what its spec names must not run by itself."""
    file = tmp_path / "mine.py"
    file.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{NET}")
    spec = {"model": f"{file}:net", "input_shape": [1, 4], "n_outputs": 2, "shape": {}, "wrappers": []}
    with pytest.raises(BadInput, match=f"is not allowed to run; set {VARIABLE}"):
        rebuild(spec)
    assert not (tmp_path / "ran").exists()
    allow_network(f"{file}:net")
    assert isinstance(rebuild(spec), torch.nn.Module)


@pytest.mark.parametrize("wrapper", ["os:system", "edgebook.models.batch_norm:fold", "fold"])
def test_a_spec_names_wrappers_of_the_table_only(wrapper):
    spec = {"model": "mlp", "input_shape": [4], "n_outputs": 2, "shape": {}, "wrappers": [{"name": wrapper}]}
    with pytest.raises(BadInput, match=r"wrapper .* is unknown; known: fake_quantized, folded, plain, streaming"):
        rebuild(spec)


def test_processes_started_from_here_may_run_it_too(tmp_path):
    file = written(tmp_path, NET)
    code = f"from edgebook.models import build_model; print(type(build_model('{file}:net', (1, 4), 2)).__name__)"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "Sequential"
    refused = subprocess.run(command, capture_output=True, text=True, env={**os.environ, VARIABLE: ""})
    assert "is not allowed to run" in refused.stderr


def test_files_of_one_name_and_their_helpers_do_not_collide(tmp_path):
    """Both files are called mine.py, both import a helper called widths.py, one of them only while it builds."""
    texts = {
        3: "from widths import WIDTH\nfrom torch import nn\ndef net(i, o):\n    return nn.Linear(WIDTH, o)\n",
        5: "from torch import nn\ndef net(i, o):\n    import widths\n    return nn.Linear(widths.WIDTH, o)\n",
    }
    files = {}
    for width, text in texts.items():
        files[width] = written(tmp_path / str(width), text)
        (tmp_path / str(width) / "widths.py").write_text(f"WIDTH = {width}\n")
    for width in (3, 5, 3):
        assert build_model(f"{files[width]}:net", (1, 4), 2).in_features == width
    assert str(tmp_path / "3") not in sys.path
