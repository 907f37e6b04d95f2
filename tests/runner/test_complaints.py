"""The five complaints that recur about grids of notebooks, each a test of what happens here instead."""

import json

import nbformat


def words(lines):
    """Execution -> what its line says."""
    parts = [line.split(" ", 1)[1].split(" (")[0].split(": ", 1) for line in lines if line[0] == "["]
    return dict(parts)


def states(small_run):
    """Execution -> (status, reason) of its record."""
    records = {path.stem: json.loads(path.read_text()) for path in (small_run.folder / "state").iterdir()}
    return {name: (record["status"], record["reason"]) for name, record in records.items()}


def outputs(small_run, name):
    """Everything that the cells of an executed notebook have printed or shown, as one text."""
    book = nbformat.read(small_run.folder / "notebooks" / f"{name}.ipynb", as_version=4)
    return json.dumps([cell.get("outputs", []) for cell in book.cells])


def test_parallel_starts_race(small_run, preset, points):
    """Kernels that start at the same moment take each other's ports elsewhere; here each has sockets of its own."""
    path = preset(points=[points(f"number {n}") for n in range(5)], once=[])
    code, lines, errors = small_run(path, "--jobs", "5", "--cores", "5")
    assert (code, errors) == (0, "")
    assert list(words(lines).values()) == ["ok"] * 5
    logs = [path.read_text() for path in (small_run.folder / "logs").iterdir()]
    assert not any("start 1 of" in log for log in logs), "nor was one started twice"


def test_which_points_are_done(small_run, preset, points):
    """A grid that grows, shrinks and grows again: each value is executed once, and what is listed is what is asked for."""
    path = preset(once=[])
    axis = "grid.20_sweep.finetune_recipe.epochs"
    first = words(small_run(path, "--set", f"{axis}=[1, 2]")[1])
    assert list(first.values()) == ["ok", "ok"]
    second = words(small_run(path, "--set", f"{axis}=[2]")[1])
    assert list(second.values()) == ["found"]
    third = words(small_run(path, "--set", f"{axis}=[1, 2, 3]")[1])
    assert list(third.values()) == ["found", "found", "ok"]
    assert second.items() <= {name: "found" for name in first}.items() <= third.items()
    assert json.loads((small_run.folder / "run.json").read_text())["executions"] == list(third)


def test_a_dead_kernel_shown_as_success(small_run, preset, points):
    code, lines, _ = small_run(preset(points=[points("kill the kernel")], once=[]))
    ((name, word),) = words(lines).items()
    assert (code, word) == (1, "FAILED: its kernel was killed")
    assert states(small_run) == {name: ("failed", "killed")}
    assert [row["status"] for row in small_run.rows(name)] == ["ok", "ok", "failed"]


def test_an_unknown_parameter_passes(small_run, preset):
    """Papermill only warns of a parameter that no cell has; here nothing is started."""
    for given in ("20_sweep.prune_ratios=[0.5]", "shared.prune_ratios=[0.5]", "grid.20_sweep.prune_ratios=[0.5]"):
        code, lines, errors = small_run(preset(), "--set", given)
        assert (code, lines) == (2, [])
        assert errors.count("\n") == 1
        assert "prune_ratios" in errors
    assert not small_run.folder.exists()


ENDS = {
    "fail later": ("cell", "TypeError: 'module' object is not subscriptable"),
    "kill the kernel": ("killed", "its kernel was killed"),
    "kill the process": ("killed", "its process ended: SIGKILL, perhaps out of memory"),
    "unpageable": ("page", "the page could not be written: RuntimeError: the renderer gave up: for a reason"),
}


def test_the_executed_notebook_is_lost_on_failure(small_run, preset, points):
    """What the cells gave before the end is in the notebook, and the rows that they wrote stay, however it ended."""
    assert small_run(preset(points=[points(step) for step in [*ENDS, "fine"]], once=[]))[0] == 1
    failed = {name: state for name, state in states(small_run).items() if state[0] == "failed"}
    assert len(states(small_run)) == 5
    ends = []
    for name, (_, reason) in failed.items():
        rows = small_run.rows(name)
        assert [row["status"] for row in rows] == ["ok", "ok", "failed"]
        assert all((small_run.folder / row["artifact"]).is_file() for row in rows[:2])
        assert "here are the rows" in outputs(small_run, name)
        ends.append((reason, rows[-1]["error"]))
    assert sorted(ends) == sorted(ENDS.values())
