"""Parameters: every notebook's are in the table and sound; a wrong one is one line: where, what, and what is allowed."""

import subprocess
import sys

import pytest

from edgebook import parameter_types
from edgebook import parameters as params
from edgebook.errors import BadInput
from edgebook.parameter_reference import reference
from edgebook.registry import resolve
from edgebook.runner.notebook_file import reads
from edgebook.runtimes.base import Quant
from edgebook.search.space import Space
from edgebook.training.recipe import FIELDS

STEMS = sorted(path.stem for path in params.NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("stem", STEMS)
def test_a_notebooks_defaults_are_allowed(stem):
    defaults = params.notebook_defaults(stem)
    assert "run" in defaults or not reads(stem)  # one that only explains leaves no rows
    params.check(defaults, where=stem)


def test_every_parameter_is_used_by_a_notebook():
    assert set(params.PARAMS) == {name for stem in STEMS for name in params.notebook_defaults(stem)}


@pytest.mark.parametrize("name", [name for name, param in params.PARAMS.items() if param.choices])
def test_every_choice_names_something_that_can_be_imported(name):
    table = resolve(params.PARAMS[name].choices)
    assert params.PARAMS[name].names() == sorted(table)
    assert all(resolve(entry) is not None for entry in table.values())


def test_a_preset_can_set_every_field_of_a_recipe_and_of_a_quant():
    assert set(parameter_types.RECIPE) | {"seed", "device"} == set(FIELDS)
    parameter_of = {"precision": "precisions", "granularity": "granularities", "algorithm": "algorithms"}
    assert {parameter_of.get(field, field) for field in Quant.__dataclass_fields__} <= params.PARAMS.keys()


def test_only_recipes_and_the_search_space_are_merged_field_by_field():
    merged = {name for name, param in params.PARAMS.items() if param.merges}
    recipes = {f"{stage}_recipe" for stage in ("baseline", "finetune", "distill", "qat", "teacher", "proxy")}
    assert merged == recipes | {"search_space"}


def test_a_preset_can_set_every_field_of_a_search_space():
    assert {*parameter_types.SEARCH_SPACE, "input_shape"} == set(Space.__dataclass_fields__)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"pruning_ratio": [0.5]}, "pruning_ratio is not a parameter; known: "),
        ({"pruning_ratios": [0.5, 1.5]}, "pruning_ratios[1] = 1.5: Input should be less than 1"),
        ({"pruning_ratios": 0.5}, "pruning_ratios = 0.5: Input should be a valid list"),
        ({"importances": ["l3"]}, "importances = 'l3' is unknown; allowed: bn_scale, fpgm"),
        ({"per_layer": {"conv": "int3"}}, "per_layer = 'int3' is unknown; allowed: bf16"),
        ({"baseline_recipe": {"lr": "1e-3"}}, "baseline_recipe.lr = '1e-3': Input should be a valid number; YAML reads 1e-3 as"),
        ({"baseline_recipe": {"epochs": "10"}}, "baseline_recipe.epochs = '10': Input should be a valid integer"),
        ({"baseline_recipe": {"epochs": -1}}, "baseline_recipe.epochs = -1: Input should be greater than or equal to 0"),
        ({"baseline_recipe": {"epochs": 10**30}}, "0: Input should be less than or equal to 1000000000"),
        ({"baseline_recipe": {"epoch": 3}}, "baseline_recipe: epoch is not a field of it; allowed: epochs, batch_size, lr"),
        ({"baseline_recipe": 5}, "baseline_recipe = 5: a mapping is needed; fields: epochs"),
        ({"baseline_recipe": {"augment": "true"}}, "baseline_recipe.augment = 'true': Input should be a valid boolean"),
        ({"baseline_recipe": {"lr": float("inf")}}, "baseline_recipe.lr = inf: Input should be a finite number"),
        ({"max_loss": -0.1}, "max_loss = -0.1: Input should be greater than or equal to 0"),
        ({"task": "imagenet"}, "task = 'imagenet' is unknown; allowed: "),
        ({"task": "no/such.npz"}, "task = 'no/such.npz': no such file"),
        ({"model": "no/such.py:net"}, "model = 'no/such.py:net': no such file"),
        ({"model": "resnet9"}, "model = 'resnet9' is unknown; allowed: "),
        ({"device": "tpu"}, "Input should be 'auto', 'cpu', 'cuda' or 'mps'"),
        ({"run": "../x"}, "run = '../x': String should match pattern"),
        ({"run": ".."}, "run = '..': String should match pattern"),
    ],
)
def test_what_is_wrong_is_one_line(value, text):
    with pytest.raises(BadInput) as error:
        params.check(value, where="here.yaml: section")
    assert str(error.value).startswith("here.yaml: section: ")
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_allowed_passes():
    params.check({"max_loss": None, "per_layer": {"conv": "fp32"}, "finetune_recipe": {"epochs": 0}}, where="here")
    params.check({"baseline_recipe": {"optimizer": "sgd", "lr": 1}}, where="here")


def test_the_reference_shows_type_range_and_choices():
    lines = {line["name"]: line["type"] for line in reference()}
    assert lines["pruning_ratios"] == "list of (number, >= 0, < 1)"
    assert lines["device"] == "one of auto, cpu, cuda, mps"
    assert lines["max_loss"] == "number, >= 0 or null"
    assert lines["finetune_recipe"].startswith("fields: epochs (integer, >= 0), batch_size (integer, >= 1), lr (number, > 0)")
    assert lines["codebook_levels"] == "list: kmeans, kmeans_channel, linear, log2"
    assert "resnet8" in lines["model"]


def test_the_reference_imports_no_torch():
    code = "import sys; from edgebook.parameter_reference import reference; reference(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
