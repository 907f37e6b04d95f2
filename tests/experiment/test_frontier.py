"""benchmarks/frontier.py: files are chosen on validation, trained networks are found again and never mistaken."""

from __future__ import annotations

from dataclasses import replace

import frontier
import frontier_networks
import pytest
import torch

from edgebook.errors import BadInput
from edgebook.training.loop import infer
from edgebook.training.recipe import Recipe

COLUMNS = ("file", "role", "params", "bytes", "smaller", "faster", "val", "score", "score_lo", "loss", "loss_lo")
FIGURES = {"macs": 300_000, "us": 1.0, "score_hi": 95.0, "loss_hi": 0.0, "train_s": 60.0, "seeds": 1}


def table(*files):
    return [dict(zip(COLUMNS, file, strict=True)) | FIGURES for file in files]


def judged(files):
    return {line["goal"]: line for line in frontier.goals({"fashion_mnist": files}).to_dict("records")}


def test_the_file_that_is_best_on_validation_is_judged_and_not_the_best_on_test():
    lines = judged(
        table(
            ("on validation", "version", 18_000, 20_000, 15.5, 21.0, 92.5, 92.0, 91.5, -0.6, -1.1),
            ("on test", "version", 18_000, 21_000, 15.1, 20.5, 92.1, 92.9, 92.4, 0.1, -0.4),
            ("control", "control", 18_000, 20_000, 15.5, 21.0, 94.0, 94.0, 93.5, 1.0, 0.5),
        )
    )
    for goal in ("92.0 % in 24 kB", "at most 0.5 points lost, 15x smaller, 20x faster"):
        assert (lines[goal]["file"], lines[goal]["answer"]) == ("on validation", "not reached")
    assert lines["at most 1.0 point lost, 25x smaller, 25x faster"]["answer"] == "no file within the limits"


def test_a_goal_is_reached_by_the_lower_end_of_the_interval():
    file = ("small", "version", 7_490, 9_968, 31.4, 32.4, 91.4, 90.6, 90.0, -2.0, -2.5)
    assert judged(table(file))["90.0 % with 7,659 parameters in 10 kB"]["answer"] == "reached"
    assert judged(table((*file[:8], 89.99, *file[9:])))["90.0 % with 7,659 parameters in 10 kB"]["answer"] == "not reached"


@pytest.fixture
def two_networks(monkeypatch):
    short = Recipe(1, 500)
    student = replace(frontier_networks.NETWORKS["8 8 8 8"], recipe=short, teacher="net")
    networks = {"net": replace(frontier_networks.NETWORKS["conv1d"], recipe=short), "student": student}
    monkeypatch.setattr(frontier_networks, "NETWORKS", networks)
    return networks


def test_a_trained_network_is_found_again_and_one_of_another_training_is_refused(two_networks, mnist1d, tmp_path):
    trained = frontier_networks.network("student", 1, tmp_path, mnist1d)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(times) == {"student-1.pt", "net-0.pt", "net-0-outputs.pt"}
    again = frontier_networks.network("student", 1, tmp_path, mnist1d)
    assert torch.equal(infer(trained, mnist1d.x_val), infer(again, mnist1d.x_val))
    assert times == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    two_networks["student"] = replace(two_networks["student"], temperature=4.0)
    with pytest.raises(BadInput, match=r"student-1\.pt: trained as .*'temperature': 2\.0.*; allowed: .*'temperature': 4\.0"):
        frontier_networks.network("student", 1, tmp_path, mnist1d)
