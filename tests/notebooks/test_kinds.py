"""Each kind of task through the real runner, on its tiny data set: baseline, pruning, quantization, comparison."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

from edgebook.metrics import METRICS
from edgebook.paths import NOTEBOOKS
from edgebook.rows import read_rows
from edgebook.tasks import load_task
from edgebook.tasks.kinds import KINDS

POINTS = {  # kind -> task, model, shape of the model, epochs
    "anomaly": ("vibration", "autoencoder", {"widths": [32], "bottleneck": 8}, 4),
    "classification": ("digits", "mlp", {"hidden": [32, 32]}, 4),
    "regression": ("diabetes", "mlp", {"hidden": [32, 32]}, 8),
    "segmentation": ("shapes", "unet", {"widths": [8, 16]}, 2),
}
PRESET = {
    "shared": {"seed": 0, "threads": 1, "train_threads": 1, "measure_s": 0.05, "runtimes": ["onnx", "litert"], "device": "cpu"},
    "points": [
        {
            "task": task,
            "model": model,
            "params": {"model_shape": shape, "baseline_recipe": {"epochs": epochs, "batch_size": 64, "lr": 0.01}},
        }
        for task, model, shape, epochs in POINTS.values()
    ],
    "notebooks": {
        "10_baseline": {},
        "20_prune_sweep": {
            "runtimes": ["onnx"],  # files of the other one are made by the quantization
            "importances": ["taylor"],  # gradients of the kind's loss
            "pruning_ratios": [0.5],
            "finetune_recipe": {"epochs": 1},
            "finetune_soft_weight": 0.5,  # the kind's soft loss
            "torch_pruning_control": False,
            "scratch_ratios": [],
        },
        "30_quantize_sweep": {
            "precisions": ["int8-static"],
            "granularities": ["channel"],
            "algorithms": ["minmax"],
            "n_calibration": 64,
            "calibration_sizes": [],
            "calibration_seeds": [0],
            "repairs": [],
        },
    },
    "once": ["90_compare"],
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """The folder of a run with all kinds."""
    folder = tmp_path_factory.mktemp("kinds")
    preset = folder / "kinds.yaml"
    preset.write_text(yaml.safe_dump(PRESET))
    command = [sys.executable, "-c", "from edgebook.cli import main; main()", "run", str(preset)]
    environment = {**os.environ, "EDGEBOOK_REPORTS": str(folder / "reports")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=NOTEBOOKS.parent)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder / "reports" / "kinds"


@pytest.fixture(scope="module", params=sorted(KINDS))
def case(request, kinds):
    """(task, rows of its executions) of one kind."""
    task = load_task(POINTS[request.param][0])
    return task, [row for row in read_rows(kinds) if row["task"] == task.name and row["notebook"] != "90_compare"]


def test_every_kind_is_covered_here():
    assert POINTS.keys() == KINDS.keys()


def test_every_notebook_has_rows_and_none_failed(case):
    _, rows = case
    assert {row["notebook"] for row in rows} == PRESET["notebooks"].keys()
    assert [(row["label"], row["runtime"], row["error"]) for row in rows if row["status"] == "failed"] == []
    assert {row["family"] for row in rows if row["status"] == "ok"} >= {"baseline", "prune", "quantize"}


def test_scores_are_those_of_the_kinds_metric(case):
    task, rows = case
    targets = task.y_test.numpy()
    for row in rows:
        if row["status"] == "ok":
            assert row["metric"] == task.kind.metric
            assert row["score_lo"] <= row["score"] <= row["score_hi"]
            assert row["n_test"] == len(targets)
            assert row["chance"] == pytest.approx(task.metric.chance(targets))
            assert row["margin"] == pytest.approx(task.metric.margin(targets))


def test_the_baseline_has_learned_and_its_files_agree(case):
    _, rows = case
    baselines = [row for row in rows if row["role"] == "baseline"]
    assert {row["runtime"] for row in baselines} >= {"onnx", "litert"}
    assert all(row["score"] > row["chance"] for row in baselines)
    assert all(row["fidelity"] > 0.99 for row in baselines)
    assert all(row["delta"] is None and row["verdict"] is None for row in baselines)


def test_versions_are_compared_with_the_baseline_on_the_same_items(case):
    _, rows = case
    by_id = {row["row_id"]: row for row in rows}
    versions = [row for row in rows if row["status"] == "ok" and row["delta"] is not None]
    assert {row["family"] for row in versions} >= {"prune", "quantize"}
    for row in versions:
        base = by_id[row["baseline_id"]]
        assert row["delta"] == pytest.approx(row["score"] - base["score"], abs=1e-6)
        assert row["delta_lo"] <= row["delta"] <= row["delta_hi"]
        assert 0 <= row["agreement"] <= 1


def test_int8_files_keep_nearly_all_of_the_baselines_outputs(case):
    _, rows = case
    int8 = [row for row in rows if row["precision"] == "int8-static" and row["role"] == "version" and row["status"] == "ok"]
    assert int8
    assert all(row["agreement"] > 0.9 for row in int8)


def test_samples_hold_what_the_scores_were_made_of(case, kinds):
    task, rows = case
    for row in rows:
        if row["status"] == "ok" and row["samples"]:
            with np.load(kinds / row["samples"]) as samples:
                items, targets = samples[f"{row['row_id']}.item_scores"], samples["targets"]
                predictions = samples[f"{row['row_id']}.predictions"]
            assert targets.dtype == task.y_test.numpy().dtype
            assert len(items) == len(predictions) == len(targets)
            assert METRICS[row["metric"]].score(items, targets) == pytest.approx(row["score"])


def test_what_leads_from_raw_data_to_the_input_lies_beside_each_file(case, kinds):
    task, rows = case
    for row in rows:
        if row["artifact"]:
            content = json.loads((kinds / row["artifact"]).with_suffix(".preprocess.json").read_text())
            assert content["preprocess"] == task.preprocess
            assert (content["kind"], content["input_shape"]) == (task.kind_name, list(task.input_shape))


def test_pages_show_each_kind_in_its_own_unit(kinds):
    index = (kinds / "index.html").read_text()
    for task, *_ in POINTS.values():
        assert task in index
        assert METRICS[load_task(task).kind.metric].label in index
        for notebook in PRESET["notebooks"]:
            pages = list((kinds / "pages").glob(f"{notebook}--{task}-*.html"))
            assert len(pages) == 1
            assert "Traceback" not in pages[0].read_text()
    assert len(list((kinds / "pages").glob("90_compare*.html"))) == 1
