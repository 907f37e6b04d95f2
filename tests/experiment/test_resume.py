"""What an execution has measured is found when it is executed again, and only then."""

from dataclasses import replace

import numpy as np
import pytest

from edgebook.compress.prune.channels import prune
from edgebook.experiment import sweep
from edgebook.experiment.notebook import baseline, start, version
from edgebook.measure import session
from edgebook.measure.archive import Archive, digests, timing_key
from edgebook.measure.measured import Measured, Session
from edgebook.parameters import notebook_defaults
from edgebook.paths import measurements_dir
from edgebook.runtimes.export import export
from edgebook.training.store import cached


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A function that measures the baseline and pruned versions: (rows by label, labels timed, number of files scored)."""
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path))
    scored, timed = [], []
    score, time_files = session.score, session.time_files

    def spy_on_score(worker, result, *more):
        scored.append(result)
        score(worker, result, *more)

    def spy_on_timing(workers, results, **more):
        timed.extend(results[index].artifact.path.stem.split("-")[0] for index in workers)
        time_files(workers, results, **more)

    monkeypatch.setattr(session, "score", spy_on_score)
    monkeypatch.setattr(session, "time_files", spy_on_timing)

    def measure(ratios, **changes):
        values = notebook_defaults("20_prune_sweep") | {"baseline_recipe": {"epochs": 1}, "runtimes": ["onnx"], "measure_s": 0.05}
        nb = start("20_prune_sweep", values | changes)
        net = baseline(nb)
        for ratio in ratios:
            with version(nb, "prune-l2", label=f"{ratio}", family="prune", asked={"pruning_ratio": ratio}) as made:
                made.model = cached(prune, net, nb.task, pruning_ratio=ratio, round_to=1)
        scored.clear()
        timed.clear()
        rows = {row["label"]: row for row in sweep.measure(nb)}
        ids = {row["row_id"]: label for label, row in rows.items()}
        return rows, {ids[row_id] for row_id in timed}, len(scored)

    return measure


@pytest.fixture(autouse=True)
def steady(monkeypatch):
    """However busy the machine is, timings are kept."""
    monkeypatch.setattr("edgebook.measure.archive.latency_columns", lambda result: {"extra": {}})


FIGURES = ("score", "latency_ms_p50", "latency_hi", "speedup", "speedup_lo", "rss_bytes", "session", "delta", "machine")


def test_the_same_again_is_found_and_a_version_more_is_measured_with_the_baseline_alone(measured):
    first, timed, n_scored = measured([0.25])
    assert (timed, n_scored) == ({"baseline", "0.25"}, 2)
    again, timed, n_scored = measured([0.25])
    assert (timed, n_scored) == (set(), 0)
    assert {label: [row[name] for name in FIGURES] for label, row in again.items()} == {
        label: [row[name] for name in FIGURES] for label, row in first.items()
    }
    more, timed, n_scored = measured([0.25, 0.5])
    assert (timed, n_scored) == ({"baseline", "0.5"}, 1)
    assert [more["0.25"][name] for name in FIGURES] == [first["0.25"][name] for name in FIGURES], (
        "with its own session's baseline"
    )
    assert more["0.5"]["session"] == more["baseline"]["session"] != first["baseline"]["session"]
    assert more["0.5"]["speedup"] is not None
    fewer, timed, _ = measured([0.5])
    assert (timed, fewer["0.5"]["session"]) == (set(), more["0.5"]["session"])


def test_scores_are_kept_when_a_session_is_cut_and_damaged_ones_are_named_and_made_again(measured, monkeypatch, tmp_path, capsys):
    def cut(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(session, "time_files", cut)
        with pytest.raises(KeyboardInterrupt):
            measured([])
    rows, timed, n_scored = measured([])
    assert (timed, n_scored) == ({"baseline"}, 0)

    (scores,) = measurements_dir(tmp_path / "lab", rows["baseline"]["execution"]).glob("*.scores")
    content = bytearray(scores.read_bytes())
    content[-7] ^= 1
    scores.write_bytes(content)
    again, timed, n_scored = measured([])
    assert (timed, n_scored) == (set(), 1)
    assert capsys.readouterr().err == f"edgebook: {scores}: is damaged: its checksum differs; measured again\n"
    assert again["baseline"]["score"] == rows["baseline"]["score"]


@pytest.fixture
def kept(net, mnist1d, tmp_path):
    """An artifact, and a function that tells whether its scores and its timing, which were kept, are found."""
    artifact = export(net, mnist1d, tmp_path / "net", runtime="onnx")
    x = np.zeros((3, 1, 40), np.float32)

    def results(artifact=artifact, *, x=x, threads=1, seconds=1.0):
        archive = Archive(tmp_path / "kept", digests({"test": x}), threads)
        return archive, Measured(artifact, key=timing_key(artifact, seconds, threads))

    def found(**changes):
        archive, result = results(**changes)
        return archive.find_scores(result), archive.find_timings([result], [0]) == {0}

    archive, result = results()
    result.outputs, result.items = {"test": np.ones((3, 10))}, {"test": np.arange(3)}
    archive.keep_scores(result)
    result.session = Session("s", {}, {result.key: {"blocks_p50": [1.0], "rss_bytes": 5}})
    archive.keep([result], {0}, [0])
    return artifact, found


def test_measurements_are_found_while_nothing_that_decides_them_has_changed(kept, monkeypatch):
    artifact, found = kept
    assert found() == (True, True)
    assert found(seconds=2.0) == (True, False)
    assert found(threads=2) == (False, False)
    assert found(x=np.ones((3, 1, 40), np.float32)) == (False, True)
    assert found(artifact=replace(artifact, runtime="torch")) == (False, False)
    with monkeypatch.context() as patched:
        patched.setattr("edgebook.measure.archive.versions", lambda runtime: {runtime: "another"})
        assert found() == (False, False)
    with monkeypatch.context() as patched:
        patched.setattr("edgebook.measure.archive.machine.describe", lambda: {"cpu": "another", "flags": []})
        assert found() == (False, False)
    artifact.path.write_bytes(artifact.path.read_bytes() + b" ")
    assert found() == (False, False)


def test_a_grid_value_is_in_the_label_and_in_what_was_asked_but_for_the_baseline(measured):
    rows, _, _ = measured([0.25], grid_values={"round_to": 4}, runtimes=["packed"])
    assert rows.keys() == {"baseline", "0.25, round_to 4"}
    assert rows["0.25, round_to 4"]["asked"] == {"pruning_ratio": 0.25, "round_to": 4}
    assert "round_to" not in rows["baseline"]["asked"]
    assert rows["baseline"]["execution"].split("--")[3].startswith("round_to_4-")
