"""The user's own networks through the real runner: a class in a file with given weights and frozen parts, an exported program."""

import json
import os
import subprocess
import sys

import pytest
import torch
import yaml

from edgebook.models import allow_network, build_model
from edgebook.paths import stored_network
from edgebook.rows import read_rows
from edgebook.training.store import load

NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, in_channels, num_classes, width=8):
        super().__init__(
            nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 3), nn.ReLU(),
            nn.Flatten(), nn.Linear(8 * width, num_classes),
        )
"""
RECIPE = {"epochs": 3, "batch_size": 64, "lr": 0.01}
SHAPE = {"width": 6}


def exported(folder):
    """A .pt2 file for digits, as PyTorch writes it."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 36, 10))
    program = torch.export.export(net, (torch.randn(2, 1, 8, 8),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, folder / "exported.pt2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the networks, and a run of them as its preset says, started from there."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "net.py").write_text(NET)
    exported(folder)
    allow_network(f"{folder}/net.py:Net")
    torch.manual_seed(5)
    torch.save(build_model(f"{folder}/net.py:Net", (1, 8, 8), 10, **SHAPE).state_dict(), folder / "published.pth")
    weights = {"weights": "published.pth", "frozen": ["0"]}
    points = [
        {"task": "digits", "model": "net.py:Net", "params": {"model_shape": SHAPE, "baseline_recipe": RECIPE | weights}},
        {"task": "digits", "model": "exported.pt2"},
    ]
    shared = {
        "threads": 1,
        "train_threads": 1,
        "measure_s": 0.01,
        "runtimes": ["onnx"],
        "device": "cpu",
        "baseline_recipe": RECIPE,
    }
    prune = {
        "importances": ["l2"],
        "pruning_ratios": [0.5],
        "round_to": 1,
        "finetune_recipe": {"epochs": 1},
        "torch_pruning_control": False,
        "scratch_ratios": [],
    }
    preset = {"shared": shared, "points": points, "notebooks": {"20_prune_sweep": prune}}
    (folder / "own.yaml").write_text(yaml.safe_dump(preset))
    command = [sys.executable, "-c", "from edgebook.cli import main; main()", "run", "own.yaml"]
    environment = {**os.environ, "EDGEBOOK_REPORTS": str(folder / "reports")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder


@pytest.mark.parametrize("label", ["net:Net", "exported"])
def test_each_is_trained_pruned_exported_and_scored(folder, label):
    rows = [row for row in read_rows(folder / "reports" / "own") if row["model"] == label]
    assert [(row["label"], row["status"], row["error"]) for row in rows if row["status"] != "ok"] == []
    by_family = {row["family"]: row for row in rows}
    assert set(by_family) == {"baseline", "prune"}
    assert by_family["baseline"]["score"] > 0.3
    assert by_family["prune"]["n_params"] < by_family["baseline"]["n_params"]
    assert all((folder / "reports" / "own" / row["artifact"]).is_file() for row in rows)


def test_frozen_layers_have_the_given_weights(folder):
    (row,) = [r for r in read_rows(folder / "reports" / "own") if (r["model"], r["family"]) == ("net:Net", "baseline")]
    assert row["asked"]["frozen"] == ["0"]
    assert row["asked"]["weights"] == "published.pth"
    given = torch.load(folder / "published.pth", weights_only=True)
    state = load(stored_network(row["checkpoint"])).state_dict()
    assert torch.equal(state["0.weight"], given["0.weight"])
    assert not torch.equal(state["3.weight"], given["3.weight"])


def test_nothing_in_the_rows_names_a_folder_of_this_machine(folder):
    rows = read_rows(folder / "reports" / "own")
    assert str(folder) not in json.dumps(rows)
