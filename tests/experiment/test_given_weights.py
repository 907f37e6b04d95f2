"""A baseline that starts from given weights, or is taken as it is, with parts that stay frozen."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from edgebook.errors import BadInput
from edgebook.experiment.notebook import baseline, new_model, start
from edgebook.experiment.preflight import check
from edgebook.models import build_model
from edgebook.naming import execution_name
from edgebook.parameters import notebook_defaults
from edgebook.runner.plan import plan
from edgebook.runner.preset import read_preset

SHAPE = {"hidden": [8]}


@pytest.fixture
def published(tmp_path, monkeypatch, digits):
    """A file with the weights of a small network for digits."""
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path / "reports"))
    torch.manual_seed(5)
    model = build_model("mlp", digits.input_shape, 10, **SHAPE)
    torch.save(model.state_dict(), tmp_path / "published.pth")
    return tmp_path / "published.pth"


def opened(stem="20_prune_sweep", **changes):
    return start(stem, notebook_defaults(stem) | {"task": "digits", "model": "mlp", "model_shape": SHAPE} | changes)


def test_the_baseline_starts_from_the_weights_and_may_be_them(published):
    nb = opened(baseline_recipe={"epochs": 0, "weights": str(published)})
    given = torch.load(published, weights_only=True)
    assert all(torch.equal(value, given[name]) for name, value in new_model(nb).state_dict().items())
    net = baseline(nb)
    assert all(torch.equal(value, given[name]) for name, value in net.state_dict().items())
    assert [set(entry) for entry in net.history] == [{"epoch", "val_score"}]
    assert nb.versions[0].asked["weights"] == "published.pth"


def test_frozen_parts_are_those_of_fine_tuning_too_but_not_of_a_student(published):
    frozen = {"epochs": 1, "weights": str(published), "frozen": ["layers.0"]}
    assert opened(baseline_recipe=frozen).recipe("finetune").frozen == ("layers.0",)
    assert opened(baseline_recipe=frozen, finetune_recipe={"epochs": 1, "frozen": []}).recipe("finetune").frozen == ()
    assert opened("40_distill", baseline_recipe=frozen, student="mlp").recipe("distill").frozen == ()


def test_weights_make_another_execution(published):
    values = {"task": "digits", "model": "mlp", "seed": 0, "baseline_recipe": {"epochs": 1}}
    with_weights = values | {"baseline_recipe": {"epochs": 1, "weights": str(published)}}
    assert execution_name("20_sweep", values) != execution_name("20_sweep", with_weights)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({"epochs": 0}, "epochs = 0 without weights"),
        ({"epochs": 1, "weights": "absent.pth"}, "absent.pth: cannot be read"),
        ({"epochs": 1, "weights": "PUBLISHED"}, r"layers.0.bias has the shape \(8,\); allowed: \(9,\)"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_starts(recipe, says, published):
    recipe = {name: str(published) if value == "PUBLISHED" else value for name, value in recipe.items()}
    params = {"task": "digits", "model": "mlp", "model_shape": {"hidden": [9]}, "baseline_recipe": recipe}
    with pytest.raises(BadInput, match=rf"10_baseline--x: .*{says}"):
        check([SimpleNamespace(name="10_baseline--x", params=params)])


def test_a_preset_names_weights_from_where_the_user_stands(published, monkeypatch):
    monkeypatch.chdir(published.parent)
    (published.parent / "mine.yaml").write_text(
        "{points: [{task: digits, model: mlp, params: {baseline_recipe: {epochs: 1, weights: published.pth}}}],"
        " notebooks: {10_baseline: {}}}"
    )
    (execution,) = plan(read_preset("mine.yaml"), "mine")
    assert execution.params["baseline_recipe"]["weights"] == str(published)
    assert execution.params["baseline_recipe"]["lr"] == 0.01
