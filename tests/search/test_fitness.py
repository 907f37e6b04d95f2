"""What a search evaluates, several searches side by side, the table of layer times, what an agent has learned."""

import json

import numpy as np
import pytest

from edgebook.errors import BadInput
from edgebook.measure.latency_table import LatencyTable
from edgebook.models.genotype import parse
from edgebook.search import COSTS, layer_times
from edgebook.search.compare import against_random, curves, run_searches, to_train_in_full
from edgebook.search.fitness import Basis, costs_of, new_net, part_of, proxy, untrained_costs
from edgebook.search.history import Aim
from edgebook.search.q_report import what_was_learned
from edgebook.search.space import Space, space_of
from edgebook.training.recipe import Recipe

SMALL, LARGE = parse("stem 4k3s2 | pool"), parse("stem 8k3s1 | plain 16k3s1 | pool")
RECIPE = Recipe(epochs=2, batch_size=50, lr=0.01, device="cpu")
SPACE = Space((1, 40), n_blocks=(0, 2), kinds=("plain", "ds"), widths=(4, 8), kernels=(3,), stem_widths=(4, 8))
AIM = Aim({"score": "maximize", "n_params": "minimize"}, {"n_params": 700.0})
CORNER = {"score": 0.1, "n_params": 700.0}


def test_the_same_genotype_has_the_same_score_and_one_past_the_limit_is_not_trained(mnist1d):
    costs = costs_of(["n_params", "macs"])
    judge = proxy(mnist1d, RECIPE, costs=costs, limits={"n_params": 300.0}, n_items=500)
    small, large = judge(SMALL), judge(LARGE)
    again = proxy(mnist1d, RECIPE, costs=costs, limits={"n_params": 300.0}, n_items=500)(SMALL)
    assert small["score"] == again["score"] > 0.15
    assert (small["n_params"], small["macs"]) == (4 * 3 + 8 + 50, 20 * 12 + 40)
    assert large["n_params"] > 300
    assert large["score"] < 0.2
    assert large["train_s"] < small["train_s"]
    assert untrained_costs(mnist1d, costs)(SMALL) == {"n_params": small["n_params"], "macs": small["macs"]}


def test_costs_that_need_a_table_and_unknown_ones(mnist1d):
    table = LatencyTable({"file": 0.5, "conv": 0.0, "pad": 0.0, "pool": 0.0, "dense": 0.25}, 1, 1, 10, 0.0, 0.0)
    names = ("conv1", "conv.macs", "conv.positions", "conv.outputs", "pad.values", "pool.values", "dense.macs")
    table.ms_per_unit.update(dict.fromkeys(names, 0.0))
    cost = costs_of(["latency_ms_est"], Basis(table=table))["latency_ms_est"]
    assert cost(new_net(mnist1d, SMALL), mnist1d) == 0.75
    with pytest.raises(BadInput, match="needs a table of layer times"):
        costs_of(["latency_ms_est"])
    with pytest.raises(BadInput, match=f"known: {', '.join(sorted(COSTS))}"):
        costs_of(["weight"])


def test_part_of_a_task_leaves_validation_alone(mnist1d):
    part = part_of(mnist1d, 100, seed=1)
    assert (len(part.x_train), len(part.x_val)) == (100, len(mnist1d.x_val))
    assert part_of(mnist1d, 10**9) is mnist1d


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    def judge(genotype):
        n = len(genotype.blocks)
        return {
            "score": 0.2 + 0.1 * n + 0.01 * genotype.stem.width,
            "n_params": 200.0 * n + 10 * genotype.stem.width,
            "train_s": 1.0,
        }

    folder = tmp_path_factory.mktemp("searches")
    return run_searches(SPACE, judge, folder, methods=["nsga2", "q_learning"], aim=AIM, n_evaluations=12, seeds=[0, 1])


def test_every_method_has_its_curve_beside_random_search(searches):
    assert list(searches) == ["random", "nsga2", "q_learning"]
    points = curves(searches, AIM, CORNER)
    assert len(points) == 3 * 2 * 12
    assert max(point["hypervolume"] for point in points) == 1
    for method in searches:
        line = [point for point in points if (point["method"], point["seed"]) == (method, 0)]
        assert [point["seconds"] for point in line] == list(range(1, 13))
        assert np.all(np.diff([point["hypervolume"] for point in line]) >= 0)
    rows = against_random(searches, AIM, CORNER)
    assert [row["method"] for row in rows] == ["nsga2", "q_learning"]
    assert all(row["share_lo"] <= row["share"] <= row["share_hi"] for row in rows)
    assert against_random({name: several[:1] for name, several in searches.items()}, AIM, CORNER) == []


def test_nets_for_the_audit_are_different_and_spread(searches):
    trials = to_train_in_full(searches, AIM, 6)
    scores = [trial.figures["score"] for trial in trials]
    assert len({trial.genotype for trial in trials}) == 6
    assert scores == sorted(scores)
    assert scores[0] < 0.3 < 0.4 < scores[-1]
    with pytest.raises(BadInput, match="allowed: more n_evaluations"):
        to_train_in_full(searches, AIM, 1000)


def test_what_the_agent_has_learned(searches):
    learned = what_was_learned(SPACE, searches["q_learning"][0], AIM)
    assert [point["step"] for point in learned.rewards] == list(range(12))
    assert sum(line["times"] for line in learned.actions if line["action"] == "pool") == 12
    SPACE.encode(learned.policy)


def test_layer_times_are_measured_once(mnist1d, tmp_path, monkeypatch):
    calls = []

    def timed(models, task, **how):
        calls.append(how)
        return [0.01 + 1e-6 * sum(p.numel() for p in model.parameters()) for model in models]

    monkeypatch.setattr(layer_times, "latencies", timed)
    first = layer_times.layer_times(mnist1d, SPACE, tmp_path, n_nets=12, runtime="litert")
    assert layer_times.layer_times(mnist1d, SPACE, tmp_path, n_nets=12, runtime="litert") == first
    assert len(calls) == 1
    assert first.n_files == len(json.loads((tmp_path / "layer_times.json").read_text())["made_for"]["nets"]) == 12
    layer_times.layer_times(mnist1d, SPACE, tmp_path, n_nets=12, runtime="onnx")
    assert calls[1]["runtime"] == "onnx"
    with pytest.raises(BadInput, match="different members"):
        layer_times.layer_times(mnist1d, SPACE, tmp_path, n_nets=100_000 // 100)


def test_a_space_from_a_preset():
    assert space_of((1, 40), {"widths": [4, 8], "n_blocks": [1, 2]}) == Space((1, 40), n_blocks=(1, 2), widths=(4, 8))
    for fields, reason in (
        ({"depth": [1]}, "depth is not a field"),
        ({"widths": 4}, "a list of values"),
        ({"widths": []}, "empty"),
    ):
        with pytest.raises(BadInput, match=reason):
            space_of((1, 40), fields)
