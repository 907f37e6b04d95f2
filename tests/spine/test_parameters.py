"""Parameters: every notebook's are known and sound; what is wrong is one line that says where, what and what is allowed."""

from dataclasses import replace

import pytest

from edgebook import parameters as params
from edgebook.errors import BadInput
from edgebook.experiment.notebook import Lab, recipe

STEMS = sorted(path.stem for path in params.NOTEBOOKS.glob("*.ipynb"))
PRESETS = sorted((params.NOTEBOOKS.parent / "params").glob("*.yaml"))


@pytest.mark.parametrize("stem", STEMS)
def test_a_notebooks_defaults_are_allowed(stem):
    defaults = params.notebook_defaults(stem)
    assert "run" in defaults
    params.check(defaults, where=stem)


def test_every_parameter_is_used_by_a_notebook():
    assert set(params.PARAMS) == {name for stem in STEMS for name in params.notebook_defaults(stem)}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"pruning_ratio": [0.5]}, "pruning_ratio is not a parameter; known: "),
        ({"pruning_ratios": [0.5, 1.5]}, "pruning_ratios[1] = 1.5: Input should be less than 1"),
        ({"pruning_ratios": 0.5}, "pruning_ratios = 0.5: Input should be a valid list"),
        ({"importances": ["l3"]}, "importances = 'l3' is unknown; allowed: "),
        ({"baseline_lr": "1e-3"}, "YAML reads 1e-3 as text, write 0.001"),
        ({"baseline_epochs": "10"}, "baseline_epochs = '10': Input should be a valid integer"),
        ({"baseline_epochs": 0}, "baseline_epochs = 0: Input should be greater than or equal to 1"),
        ({"task": "imagenet"}, "task = 'imagenet' is unknown; allowed: digits, fashion_mnist, mnist1d"),
        ({"task": "no/such.npz"}, "task = 'no/such.npz': no such file"),
        ({"model": "no/such.py:net"}, "model = 'no/such.py:net': no such file"),
        ({"model": "resnet9"}, "model = 'resnet9' is unknown; allowed: conv1d"),
        ({"device": "tpu"}, "Input should be 'auto', 'cpu', 'cuda' or 'mps'"),
        ({"run": "../x"}, "run = '../x': String should match pattern"),
        ({"baseline_augment": "true"}, "baseline_augment = 'true': Input should be a valid boolean"),
    ],
)
def test_what_is_wrong_is_one_line(value, said):
    with pytest.raises(BadInput) as error:
        params.check(value, where="here.yaml: section")
    assert str(error.value).startswith("here.yaml: section: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_reference_tells_type_range_and_choices():
    lines = {line["name"]: line["type"] for line in params.reference()}
    assert lines["pruning_ratios"] == "list of (number, >= 0, < 1)"
    assert lines["baseline_optimizer"] == "one of adam, sgd"
    assert lines["finetune_augment"] == "boolean or null"
    assert "resnet8" in lines["model"]


def test_fine_tuning_takes_the_baselines_recipe_where_it_has_none_of_its_own():
    values = params.notebook_defaults("20_prune_sweep") | {"baseline_augment": True, "finetune_lr": 0.02}
    lab = Lab("20_prune_sweep", "x", params.NOTEBOOKS, values, None)
    assert recipe(lab, "finetune") == recipe(lab, "baseline") | {"epochs": values["finetune_epochs"], "lr": 0.02}
    plain = replace(lab, params=values | {"finetune_augment": False})
    assert recipe(plain, "finetune") == recipe(lab, "finetune") | {"augment": False}
    assert recipe(plain, "baseline")["augment"]
