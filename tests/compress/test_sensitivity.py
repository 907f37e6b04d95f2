"""What each layer can spare, by its validation score."""

import pytest
import torch

from edgebook.compress.prune.channels import prune
from edgebook.compress.prune.sensitivity import layer_ratios, ratios_for_macs, scan, table
from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.models.macs import count_macs
from edgebook.tasks import load_task
from edgebook.training.loop import evaluate, train
from edgebook.training.recipe import Recipe


@pytest.fixture(scope="module")
def signals():
    return load_task("mnist1d")


@pytest.fixture(scope="module")
def model(signals):
    torch.manual_seed(0)
    return train(build_model("conv1d", (1, 40), 10), signals, Recipe(8))


@pytest.fixture(scope="module")
def scanned(model, signals):
    return scan(model, signals, ratios=[0.3, 0.6])


def test_a_scan_scores_each_layer_alone(model, signals, scanned):
    assert len(scanned) == 3 * 3
    assert {row["val_score"] for row in scanned if row["asked"]["pruning_ratio"] == 0} == {evaluate(model, signals)}
    row = next(row for row in scanned if row["asked"] == {"layer": "features.2", "pruning_ratio": 0.6})
    alone = prune(model, signals, layer_ratios={"features.2": 0.6}, round_to=1)
    assert row["val_score"] == evaluate(alone, signals)
    assert row["macs"] == count_macs(alone, (1, 40))
    assert {row["role"] for row in scanned} == {"reference"}
    shown = table(scanned)
    assert shown.shape == (3, 3)
    assert shown.loc["features.2", 0.6] == round(100 * row["val_score"], 1)


def test_a_layer_that_minds_more_loses_less():
    curves = {"tough": [0.9, 0.9, 0.8], "tender": [0.9, 0.5, 0.7]}
    rows = [
        {"asked": {"layer": layer, "pruning_ratio": ratio}, "val_score": score}
        for layer, curve in curves.items()
        for ratio, score in zip((0.0, 0.4, 0.8), curve, strict=True)
    ]
    ratios = layer_ratios(rows, max_loss=0.05)
    assert ratios["tough"] == pytest.approx(0.6, abs=1e-3)
    assert ratios["tender"] == pytest.approx(0.05, abs=1e-3)
    assert layer_ratios(rows, max_loss=0.3)["tender"] == pytest.approx(0.3, abs=1e-3)


def test_derived_ratios_remove_the_macs(model, signals, scanned):
    ratios = ratios_for_macs(model, signals, scanned=scanned, macs_ratio=0.4)
    smaller = prune(model, signals, layer_ratios=ratios, round_to=1)
    assert count_macs(smaller, (1, 40)) / count_macs(model, (1, 40)) == pytest.approx(0.6, abs=0.05)
    by_8 = ratios_for_macs(model, signals, scanned=scanned, macs_ratio=0.4, round_to=8)
    assert count_macs(prune(model, signals, layer_ratios=by_8, round_to=8), (1, 40)) <= 0.6 * count_macs(model, (1, 40))
    with pytest.raises(BadInput, match=r"macs_ratio = 0.99; allowed: up to 0\.\d\d"):
        ratios_for_macs(model, signals, scanned=scanned, macs_ratio=0.99)
    with pytest.raises(BadInput, match=r"ratios = .1\.5.; allowed"):
        scan(model, signals, ratios=[1.5])


def test_losses_on_another_scale_give_the_same_ratios(model, signals, scanned):
    """A score below -1, as an error in some unit, must not fall out of the bisection."""
    errors = [{**row, "val_score": 50 * row["val_score"] - 100} for row in scanned]
    by_share, by_error = (ratios_for_macs(model, signals, scanned=rows, macs_ratio=0.4) for rows in (scanned, errors))
    assert by_error == pytest.approx(by_share, abs=1e-3)
