"""Presets: what is wrong is one line that says where, what and what is allowed; nothing that is given is passed over."""

import pytest

from edgebook.errors import BadInput
from edgebook.runner.plan import chosen, plan, sources
from edgebook.runner.preset import merged, read_preset

POINT = {"task": "digits", "model": "mlp"}


def planned(preset, *overrides, **changes):
    return {
        execution.name.split("--")[0]: execution.params
        for execution in plan(read_preset(preset(**changes), list(overrides)), "x")
    }


def point(**params):
    return [POINT | {"params": params}]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"points": 3}, ": points = 3: a list is needed"),
        ({"points": None}, ": points = None: a list is needed"),
        ({"seeds": 5}, ": seeds = 5: a list is needed"),
        ({"seeds": []}, ": seeds = []: different whole numbers are needed, at least one"),
        ({"seeds": [1, 1]}, ": seeds = [1, 1]: different whole numbers"),
        ({"seeds": [-1]}, ": seeds: seed = -1: Input should be greater than or equal to 0"),
        ({"seeds": [0], "shared": {"seed": 1}}, ": seed and seeds are both given: leave one out"),
        ({"extra": 1}, ": extra is unknown; allowed: shared, points, notebooks, once, seeds"),
        ({"once": "90_read"}, ": once = '90_read': a list is needed"),
        ({"once": [3]}, ": once = 3: a text is needed"),
        ({"once": ["90_read", "90_read"]}, ": once = ['90_read', '90_read']: a name is given twice"),
        ({"once": ["20_sweep"]}, ": once: 20_sweep has a task: it belongs under notebooks alone"),
        ({"notebooks": {"21_none": None}}, "notebook '21_none' is unknown; known: 20_sweep, 30_sweep, 90_read"),
        ({"notebooks": {"20_sweep": 3}}, ": 20_sweep = 3: a mapping is needed"),
        (
            {"notebooks": {"20_sweep": {"pruning_ratios": [0.5]}}},
            ": 20_sweep: pruning_ratios is not a parameter of 20_sweep; allowed:",
        ),
        ({"notebooks": {"20_sweep": {"run": "x"}}}, ": 20_sweep: run is set by --name"),
        ({"notebooks": {"20_sweep": {"seed": 7}}}, ": 20_sweep: seed is set by shared.seed or seeds"),
        ({"notebooks": {"20_sweep": {"threads": None}}}, ": 20_sweep: threads = None: "),
        ({"notebooks": {"20_sweep": {"finetune_recipe": {"rate": 1}}}}, ": 20_sweep: finetune_recipe: rate is not a field of it"),
        ({"notebooks": {"20_sweep": {"finetune_recipe": 5}}}, ": 20_sweep: finetune_recipe = 5: a mapping is needed"),
        ({"shared": {"task": "digits"}}, ": shared: task is set by points"),
        ({"shared": {"thread": 1}}, ": shared: thread is not a parameter; known: "),
        ({"shared": {"pruning_ratios": [0.5]}}, ": shared: pruning_ratios is a parameter of no notebook that runs there"),
        ({"points": [3]}, ": points[0] = 3: task and model are needed; only, skip and params are allowed"),
        ({"points": [{"task": "digits"}]}, ": points[0] = {'task': 'digits'}: task and model are needed"),
        ({"points": [POINT | {"task": None}]}, ": points[0]: task = None: a text is needed"),
        ({"points": [POINT | {"only": 5}]}, ": points[0]: only = 5: a list is needed"),
        ({"points": [POINT | {"only": ["30_sweep"]}]}, ": points[0] names 30_sweep, which is not under notebooks"),
        ({"points": [POINT | {"params": None}]}, ": points[0]: params = None: a mapping is needed"),
        ({"points": point(seed=7)}, ": points[0]: seed is set by shared.seed or seeds"),
        ({"points": point(run="x")}, ": points[0]: params: run is set by --name"),
        ({"points": point(max_loss=0.1)}, ": points[0]: params: max_loss is a parameter of no notebook that runs there"),
        (
            {"points": [POINT | {"only": []}], "notebooks": {"20_sweep": {"threads": 2}}},
            ": notebooks: 20_sweep: threads is a parameter of no notebook that runs there",
        ),
        ({"points": point(threads="2")}, ": points[0]: params: threads = '2': Input should be a valid integer"),
        ({"points": [POINT | {"task": "none"}]}, ": 20_sweep: task = 'none' is unknown; allowed: "),
        ({"points": [POINT | {"model": "no/such.py:net"}]}, "no/such.py:net': no such file"),
        ({"points": [POINT, POINT]}, ": two points have the same task, model, model_shape and seed: 20_sweep--digits-mlp-"),
        ({"points": [], "once": []}, ": nothing to run"),
    ],
)
def test_a_bad_preset_is_refused_before_anything_starts(changes, said, preset):
    path = preset(**changes)
    with pytest.raises(BadInput) as error:
        plan(read_preset(path), "mine")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("threads", "write notebook.parameter=value, shared.parameter=value, or seeds=[0, 1]"),
        ("threads=2", "write notebook.parameter=value"),
        ("20_sweep.=2", "write notebook.parameter=value"),
        ("20_sweep.threads=[", "'[' is not YAML: "),
        ("20_sweep.threads=0", "--set 20_sweep.threads=0: threads = 0: Input should be greater than or equal to 1"),
        ("20_sweep.task=digits", "--set 20_sweep.task=digits: task is set by points"),
        ("shared.model=mlp", "--set shared.model=mlp: model is set by points"),
        ("20_sweep.seed=1", "--set 20_sweep.seed=1: seed is set by shared.seed or seeds"),
        ("20_sweep.threads.count=1", "threads has no fields; give its whole value"),
        ("20_sweep.finetune_recipe.rate=1", "finetune_recipe: rate is not a field of it; allowed: epochs, "),
        ("20_sweep.finetune_recipe.lr=fast", "finetune_recipe.lr = 'fast': Input should be a valid number"),
        ("30_sweep.threads=2", "--set 30_sweep.threads=2: 30_sweep is not in this preset"),
        ("21_none.threads=2", "notebook '21_none' is unknown"),
        ("shared.pruning_ratios=[0.5]", "pruning_ratios is a parameter of no notebook that runs there"),
        ("seeds=3", ": seeds = 3: a list is needed"),
        ("shared.threads={on: 1}", "threads = {'on': 1}"),
        ("shared.threads={on: 1, on: 2}", "is not YAML: line 1: the key on is given twice"),
    ],
)
def test_a_bad_override_is_refused(override, said, preset):
    with pytest.raises(BadInput) as error:
        plan(read_preset(preset(), [override]), "mine")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_override_of_a_notebook_that_runs_nowhere_is_refused(preset):
    path = preset(points=[POINT | {"skip": ["20_sweep"]}])
    with pytest.raises(BadInput, match=r"--set 20_sweep: threads is a parameter of no notebook that runs there"):
        plan(read_preset(path, ["20_sweep.threads=2"]), "mine")


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", "-x", "a b"])
def test_a_name_that_is_no_folder_of_its_own_is_refused(name, preset):
    with pytest.raises(BadInput, match=r"--name: run = "):
        plan(read_preset(preset()), name)


def test_later_layers_win(preset):
    assert planned(preset)["20_sweep"]["threads"] == 1
    layers = {"shared": {"threads": 2}}
    assert planned(preset, **layers)["20_sweep"]["threads"] == 2
    layers["notebooks"] = {"20_sweep": {"threads": 3}}
    assert planned(preset, **layers)["20_sweep"]["threads"] == 3
    assert planned(preset, **layers)["90_read"]["threads"] == 2
    layers["points"] = point(threads=4)
    assert planned(preset, **layers)["20_sweep"]["threads"] == 4
    assert planned(preset, "shared.threads=5", **layers)["20_sweep"]["threads"] == 5
    assert planned(preset, "20_sweep.threads=6", "shared.threads=5", **layers)["20_sweep"]["threads"] == 6
    assert planned(preset, "20_sweep.threads=6", **layers)["90_read"]["threads"] == 2


def test_recipes_are_merged_field_by_field(preset):
    layers = {
        "shared": {"finetune_recipe": {"lr": 0.2, "batch_size": 10}},
        "notebooks": {"20_sweep": {"finetune_recipe": {"batch_size": 20}}},
        "points": point(finetune_recipe={"optimizer": "sgd"}),
    }
    recipe = planned(preset, "20_sweep.finetune_recipe.weight_decay=0.5", "shared.finetune_recipe={augment: true}", **layers)
    assert recipe["20_sweep"]["finetune_recipe"] == {
        "epochs": 2,
        "lr": 0.2,
        "batch_size": 20,
        "optimizer": "sgd",
        "augment": True,
        "weight_decay": 0.5,
    }


def test_other_mappings_are_replaced_whole(preset):
    layers = {"shared": {"model_shape": {"a": 1, "b": 2}}, "points": point(model_shape={"c": 3})}
    assert planned(preset, **layers)["20_sweep"]["model_shape"] == {"c": 3}


def test_merging_leaves_its_layers_alone():
    first, second = {"finetune_recipe": {"lr": 1}}, {"finetune_recipe": {"epochs": 2}}
    assert merged(first, second) == {"finetune_recipe": {"lr": 1, "epochs": 2}}
    assert (first, second) == ({"finetune_recipe": {"lr": 1}}, {"finetune_recipe": {"epochs": 2}})


def test_null_is_a_value(preset):
    assert planned(preset, notebooks={"20_sweep": None, "90_read": {"max_loss": None}})["90_read"]["max_loss"] is None


def test_seeds_multiply_the_points(preset):
    path = preset(seeds=[3, 1])
    names = [execution.name[-2:] for execution in plan(read_preset(path), "x")]
    assert names == ["s3", "s1", "ad"]
    assert [e.params["seed"] for e in plan(read_preset(path, ["seeds=[7]"]), "x")[:1]] == [7]


def test_networks_of_one_name_have_executions_of_their_own(preset, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text("def build(input_shape, n_outputs): ...")
    points = [{"task": "digits", "model": f"{tmp_path}/{folder}/net.py:build"} for folder in "ab"]
    points += [points[0] | {"params": {"model_shape": {"width": 2}}}]
    names = [execution.name for execution in plan(read_preset(preset(points=points, once=[])), "x")]
    assert len(set(names)) == 3
    assert all(name.startswith("20_sweep--digits-net.build-") for name in names)


def test_paths_start_where_the_user_stands_and_at_the_home(preset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in ("here", "home"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text("")
        (tmp_path / folder / "data.npz").write_text("")
    points = [
        {"task": "here/data.npz", "model": "here/net.py:build"},
        {"task": "~/data.npz", "model": "~/net.py:build"},
    ]
    values = [execution.params for execution in plan(read_preset(preset(points=points, once=[])), "x")]
    assert [v["model"] for v in values] == [f"{tmp_path}/{folder}/net.py:build" for folder in ("here", "home")]
    assert [v["task"] for v in values] == [f"{tmp_path}/{folder}/data.npz" for folder in ("here", "home")]
    (tmp_path / "home" / "small.yaml").write_text(preset().read_text())
    assert read_preset("~/small.yaml").path == tmp_path / "home" / "small.yaml"


def test_names_of_files_are_short_and_plain(preset, tmp_path):
    stem = "d{at} ä" + "x" * 200
    (tmp_path / f"{stem}.npz").write_text("")
    (execution,) = plan(read_preset(preset(points=[POINT | {"task": f"{tmp_path}/{stem}.npz"}], once=[])), "x")
    assert execution.name.isascii()
    assert not set(execution.name) & set("{} /:")
    assert len(execution.name) < 150


def test_what_reads_rows_waits_for_all_before_it(preset, notebooks):
    book = (notebooks / "20_sweep.ipynb").read_text()
    (notebooks / "25_read.ipynb").write_text(book.replace('"reads": ["data"]', '"reads": ["data", "rows"]'))
    path = preset(notebooks={"20_sweep": None, "25_read": None, "30_sweep": None}, seeds=[0, 1])
    executions = plan(read_preset(path), "x")
    read = {execution.name: [source.name for source in sources(execution, executions)] for execution in executions}
    first, second = [name for name in read if name.startswith("20")]
    assert [read[name] for name in read if name.startswith("25")] == [[first], [second]], "with a task those of its own seed"
    assert read["90_read"] == list(read)[:-1], "without a task all"
    assert not any(read[name] for name in read if name.startswith(("20", "30")))


def test_a_notebook_that_reads_something_unknown_is_refused(preset, notebooks):
    book = notebooks / "20_sweep.ipynb"
    book.write_text(book.read_text().replace('["data"]', '["date"]'))
    with pytest.raises(BadInput, match=r"20_sweep.ipynb: metadata edgebook.reads = date; allowed: data, rows, devices"):
        plan(read_preset(preset()), "x")


def test_only_named_notebooks(preset):
    executions = plan(read_preset(preset()), "x")
    assert [execution.notebook for execution in chosen(executions, ["90_read"])] == ["90_read"]
    assert chosen(executions, []) == executions
    with pytest.raises(BadInput, match="--only 30_sweep: this preset has 20_sweep, 90_read"):
        chosen(executions, ["30_sweep"])
    with pytest.raises(BadInput, match="notebook '99_none' is unknown"):
        chosen(executions, ["99_none"])


def test_a_preset_is_a_file_or_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_preset("smoke").path.name == "smoke.yaml"
    for name, said in (("none", "preset 'none' is unknown; allowed: "), ("none.yaml", "none.yaml: cannot be read: No such file")):
        with pytest.raises(BadInput, match=said):
            read_preset(name)


def grid(**sections):
    """Changes of the small preset: its sweep with a grid."""
    return {
        "notebooks": {"20_sweep": None, "30_sweep": None},
        "grid": {name.lstrip("_"): axes for name, axes in sections.items()},
    }


def test_every_combination_of_a_grid_is_an_execution_of_its_own(preset):
    changes = grid(_30_sweep={"pruning_ratios": [[0.25], [0.5]], "finetune_recipe.epochs": [1, 3]}) | {"seeds": [0, 1]}
    executions = [e for e in plan(read_preset(preset(**changes)), "x") if e.notebook == "30_sweep"]
    values = [(e.params["seed"], e.params["pruning_ratios"], e.params["finetune_recipe"]) for e in executions]
    recipes = [{"epochs": epochs, "lr": 0.1} for epochs in (1, 3)]
    assert values == [(seed, ratios, recipe) for seed in (0, 1) for recipe in recipes for ratios in ([0.25], [0.5])]
    assert len({e.name for e in executions}) == 8
    assert executions[0].params["grid_values"] == {"pruning_ratios": [0.25], "finetune_recipe.epochs": 1}
    assert "--s0--finetune_recipe.epochs_1_pruning_ratios_0.25-" in executions[0].name


def test_a_shared_axis_is_for_the_notebooks_that_have_it(preset):
    executions = plan(read_preset(preset(**grid(shared={"pruning_ratios": [[0.1], [0.2]]}))), "x")
    assert [(e.notebook, e.params.get("grid_values")) for e in executions] == [
        ("20_sweep", {}),
        ("30_sweep", {"pruning_ratios": [0.1]}),
        ("30_sweep", {"pruning_ratios": [0.2]}),
        ("90_read", None),
    ]


def test_a_grid_can_be_set_on_the_command_line(preset):
    overrides = ["grid.30_sweep.finetune_recipe.lr=[0.1, 0.2]", "limits.seconds=60"]
    read = read_preset(preset(notebooks={"20_sweep": None, "30_sweep": None}), overrides)
    assert [e.params["finetune_recipe"]["lr"] for e in plan(read, "x") if e.notebook == "30_sweep"] == [0.1, 0.2]
    assert (read.limits.seconds, read.limits.memory_gb) == (60, None)


@pytest.mark.parametrize(
    ("changes", "overrides", "said"),
    [
        (grid(_40_none={"seed": [1]}), [], r"grid: '40_none' is not under notebooks; allowed: shared, 20_sweep, 30_sweep"),
        (grid(_90_read={"threads": [1]}), [], r"grid: '90_read' is not under notebooks"),
        (grid(_30_sweep=[3]), [], r"grid: 30_sweep = \[3\]: a mapping from parameters to lists of values is needed"),
        (grid(_30_sweep={"seed": [1, 2]}), [], r"grid: 30_sweep: seed is set by seeds"),
        (grid(_20_sweep={"pruning_ratios": [[0.1]]}), [], r"grid: 20_sweep: 'pruning_ratios' is no parameter of it"),
        (grid(_30_sweep={"threads.x": [1]}), [], r"grid: 30_sweep: 'threads.x' is no parameter of it"),
        (grid(_30_sweep={"threads": 3}), [], r"grid: 30_sweep: threads = 3: a list of different values is needed"),
        (grid(_30_sweep={"threads": [1, 1]}), [], r"threads = \[1, 1\]: a list of different values is needed"),
        (grid(_30_sweep={"threads": [0]}), [], r"grid: 30_sweep: threads = 0: "),
        (grid(_30_sweep={"finetune_recipe.epoch": [1]}), [], r"finetune_recipe: epoch is not a field of it"),
        (grid(shared={"temperatures": [[1.0]]}), [], r"grid: shared: temperatures is a parameter of no notebook"),
        (grid(_30_sweep={"threads": [1, 2]}), ["30_sweep.threads=1"], r"30_sweep: threads has several values in the grid"),
        ({"limits": {"hours": 3}}, [], r"limits: hours is not a field of it; allowed: seconds, memory_gb"),
        ({"limits": {"seconds": 0}}, [], r"limits.seconds = 0: "),
        ({"notebooks": {"20_sweep": {"grid_values": {}}}}, [], r"20_sweep: grid_values is set by grid"),
        ({"grid": None}, ["grid.20_sweep.threads=[1, 2]"], r"small.yaml: grid = None: a mapping is needed"),
        (
            grid(_20_sweep=3),
            ["grid.20_sweep.threads=[1, 2]"],
            r"--set grid.20_sweep\S+ 2\]: grid: 20_sweep = 3: a mapping is needed",
        ),
        ({"limits": 60}, ["limits.seconds=60"], r"small.yaml: limits = 60: a mapping is needed"),
    ],
)
def test_a_wrong_grid_or_limit_is_one_line(changes, overrides, said, preset):
    with pytest.raises(BadInput, match=said) as refused:
        plan(read_preset(preset(**changes), overrides), "x")
    assert "\n" not in str(refused.value)


def test_a_notebook_that_cannot_tell_the_executions_of_a_grid_apart_has_none(preset, notebooks):
    book = notebooks / "30_sweep.ipynb"
    book.write_text(book.read_text().replace("grid_values = {}\\n", ""))
    with pytest.raises(BadInput, match="30_sweep has no parameter grid_values"):
        plan(read_preset(preset(**grid(_30_sweep={"threads": [1, 2]}))), "x")
