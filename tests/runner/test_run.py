"""Running: what is done is found, what is damaged is done again, one failure takes nothing else along, nothing stays behind."""

import json
import os
import platform
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from edgebook.paths import stop_file


def words(lines):
    """Execution -> what the line of progress says of it."""
    return {line.split()[1].split("--")[0].rstrip(":"): line.split(": ", 1)[1].split(" (")[0] for line in lines if line[0] == "["}


def only_rows(small_run, stem):
    (file,) = (small_run.folder / "rows").glob(f"{stem}--*.jsonl")
    return small_run.rows(file.stem)


def test_everything_is_executed_then_found_then_executed_again_where_it_is_damaged(small_run, preset):
    path = preset(notebooks={"20_sweep": None, "30_sweep": None})
    code, lines, errors = small_run(path)
    assert (code, errors) == (0, ""), errors
    assert words(lines) == {"20_sweep": "ok", "30_sweep": "ok", "90_read": "ok"}
    assert small_run.rows("90_read")[0]["extra"] == {"n": 4}
    record = json.loads((small_run.folder / "run.json").read_text())
    assert record["executions"] == [f.stem for f in sorted((small_run.folder / "rows").iterdir())]

    before = {file: file.stat().st_mtime_ns for file in (small_run.folder / "rows").iterdir()}
    code, lines, errors = small_run(path)
    assert set(words(lines).values()) == {"found"}
    assert {file: file.stat().st_mtime_ns for file in (small_run.folder / "rows").iterdir()} == before

    (artifact,) = (small_run.folder / "artifacts").glob("20_sweep--*/1.onnx")
    artifact.write_bytes(b"damaged")
    code, lines, errors = small_run(path)
    assert words(lines) == {"20_sweep": "ok", "30_sweep": "found", "90_read": "found"}, "the same rows were written again"
    assert f"{artifact.relative_to(small_run.folder)} is damaged; executed again" in errors

    code, lines, _ = small_run(path, "--set", "30_sweep.pruning_ratios=[0.25]", "--jobs", "2")
    assert words(lines) == {"20_sweep": "found", "30_sweep": "ok", "90_read": "found"}


def test_one_failure_is_one_row_and_the_others_go_on(small_run, preset, points):
    path = preset(points=[points("fail"), points("fine")])
    code, lines, _ = small_run(path)
    assert code == 1
    assert sorted(line.split(": ", 1)[1].split(" (")[0] for line in lines) == [
        "FAILED: ValueError: it went wrong, because of: this and that",
        "ok",
        "ok",
    ]
    failed = [
        row for name in (small_run.folder / "rows").iterdir() for row in small_run.rows(name.stem) if row["status"] == "failed"
    ]
    assert [row["error"] for row in failed] == ["ValueError: it went wrong, because of: this and that"]
    assert failed[0]["label"] == "whole notebook"
    assert failed[0]["task"] == "digits"
    page = small_run.folder / "pages" / f"{failed[0]['execution']}.html"
    assert page.is_file(), "the page shows how far it came"
    assert "and more" in (small_run.folder / "logs" / f"{failed[0]['execution']}.log").read_text()


LIMITS = {
    "sleep": ({"seconds": 4}, "time", "it took longer than 4 s"),
    "take memory": ({"memory_gb": 0.5}, "memory", "it took more memory than 0.5 GB"),
}


@pytest.mark.parametrize("step", LIMITS)
def test_a_limit_ends_the_kernel_and_its_children_and_leaves_a_page_that_shows_how_far_it_came(step, small_run, preset, points):
    limits, reason, error = LIMITS[step]
    code, lines, _ = small_run(preset(points=[points(step)], limits=limits, once=[]))
    assert (code, words(lines)) == (1, {"20_sweep": f"FAILED: {error}"})
    assert states(small_run) == {"20_sweep": ("failed", reason)}
    (row,) = only_rows(small_run, "20_sweep")
    assert (row["error"], row["extra"]["reason"]) == (error, reason)
    assert len(list((small_run.folder / "pages").iterdir())) == 1
    pids = [int(pid) for file in (small_run.folder / "pids").iterdir() for pid in file.read_text().split()]
    wait_for(lambda: gone(pids), 10)


@pytest.mark.parametrize(("failures", "status", "reason"), [(2, "ok", None), (3, "failed", "start")])
def test_a_kernel_that_does_not_start_gets_two_more_chances(failures, status, reason, small_run, preset, tmp_path):
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    script = f'if [ $(cat {spec}/tries | wc -c) -lt {failures} ]; then printf x >> {spec}/tries; exit 1; fi; exec "$@"'
    (spec / "tries").write_text("")
    argv = ["sh", "-c", script, "sh", sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "python3", "language": "python"}))
    code, _, _ = small_run(preset(once=[]), JUPYTER_PATH=str(tmp_path / "jupyter"))
    assert code == (status == "failed")
    assert states(small_run) == {"20_sweep": (status, reason)}
    assert len((spec / "tries").read_text()) == failures


def test_rows_of_an_earlier_attempt_do_not_pass_for_those_of_a_failed_one(small_run, preset, points, notebooks):
    path = preset(once=[])
    assert small_run(path)[0] == 0
    book = notebooks / "20_sweep.ipynb"
    book.write_text(book.read_text().replace("write(2)", "1 / 0"))
    assert small_run(path)[0] == 1
    assert [row["error"] for row in only_rows(small_run, "20_sweep")] == ["ZeroDivisionError: division by zero"]


def test_failures_of_another_preset_are_not_counted_and_not_listed(small_run, preset, points):
    assert small_run(preset(points=[points("fail")], once=[]))[0] == 1
    assert small_run(preset(points=[points("fine")], once=[]))[0] == 0
    assert len(json.loads((small_run.folder / "run.json").read_text())["executions"]) == 1
    assert len(list((small_run.folder / "rows").iterdir())) == 2


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def sleeping(small_run, preset, points, **environment):
    """A run whose one notebook sleeps: (process, pids of its kernel and of the process that executes it)."""
    process = small_run.start(preset(points=[points("sleep")]), **environment)
    file = wait_for(lambda: [f for f in (small_run.folder / "pids").glob("*") if f.read_text()])[0]
    return process, [int(pid) for pid in file.read_text().split()]


def gone(pids):
    return not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def sockets_of(kernel):
    """The folder of a kernel's sockets, from its command line."""
    (argument,) = [text for text in psutil.Process(kernel).cmdline() if text.endswith("kernel.json")]
    return Path(argument.rpartition("=")[2]).parent


def stopped_at_once(process, pids, sockets):
    """The lines that a run says when it is ended, which takes everything along."""
    _, errors = process.communicate(timeout=20)
    wait_for(lambda: gone(pids), 10)
    assert not sockets.exists()
    return errors.splitlines()


def states(small_run):
    """Notebook -> (status, reason) of the record of its execution."""
    records = {path.stem.split("--")[0]: json.loads(path.read_text()) for path in (small_run.folder / "state").iterdir()}
    return {stem: (record["status"], record["reason"]) for stem, record in records.items()}


def test_sigterm_stops_the_run_with_one_line(small_run, preset, points):
    process, pids = sleeping(small_run, preset, points)
    sockets = sockets_of(pids[0])
    process.send_signal(signal.SIGTERM)
    assert stopped_at_once(process, pids, sockets) == ["edgebook: stopped; the same command goes on"]
    assert process.returncode == 128 + signal.SIGTERM
    assert states(small_run) == {"20_sweep": ("failed", "cancelled")}


def test_the_second_ctrl_c_ends_what_runs_and_the_same_command_goes_on(small_run, preset, points, notebooks):
    process, pids = sleeping(small_run, preset, points)
    sockets = sockets_of(pids[0])
    process.send_signal(signal.SIGINT)
    assert [process.stderr.readline() for _ in range(2)][1].startswith("edgebook: stopping: 1 execution is finished first")
    assert not gone(pids)
    process.send_signal(signal.SIGINT)
    assert stopped_at_once(process, pids, sockets) == ["edgebook: stopped; the same command goes on"]
    assert process.returncode == 128 + signal.SIGINT
    assert states(small_run) == {"20_sweep": ("failed", "cancelled")}
    assert not list((small_run.folder / "rows").glob("*")), "a stopped execution is no failed row"

    book = notebooks / "20_sweep.ipynb"
    book.write_text(book.read_text().replace("time.sleep(600)", "time.sleep(0)"))
    code, lines, errors = small_run(preset(points=[points("sleep")]))
    assert (code, errors) == (0, "")
    assert words(lines) == {"20_sweep": "ok", "90_read": "ok"}


def test_the_first_ctrl_c_lets_what_runs_finish_and_starts_nothing_more(small_run, preset, points, notebooks):
    book = notebooks / "20_sweep.ipynb"
    book.write_text(book.read_text().replace("time.sleep(600)", "time.sleep(2)"))
    process, _ = sleeping(small_run, preset, points)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    assert words(out.splitlines()) == {"20_sweep": "ok"}
    assert errors.splitlines()[-1] == "edgebook: stopped; the same command goes on"
    code, lines, _ = small_run(preset(points=[points("sleep")]))
    assert (code, words(lines)) == (0, {"20_sweep": "found", "90_read": "ok"})


def test_nothing_outlives_a_killed_run_and_the_next_start_cleans_up(small_run, preset, points):
    process, pids = sleeping(small_run, preset, points)
    sockets = sockets_of(pids[0])
    process.kill()
    process.communicate()
    wait_for(lambda: gone(pids), 10)
    drafts = [small_run.folder / "rows" / ".abc.draft", small_run.home / "store" / "abc.lock"]
    for draft in drafts:
        draft.parent.mkdir(exist_ok=True)
        draft.write_text("")
        os.utime(draft, (1, 1))
    os.utime(sockets, (1, 1))
    assert small_run(preset(points=[points("fine")]))[0] == 0
    assert not [path for path in [sockets, *drafts] if path.exists()]


def test_two_runs_of_one_name_are_refused(small_run, preset, points):
    process, _ = sleeping(small_run, preset, points)
    asked = stop_file(small_run.folder)
    asked.touch()
    try:
        code, lines, errors = small_run(preset(points=[points("fine")]))
        assert (code, lines) == (2, [])
        assert asked.exists(), "the stop that the first run was asked for"
        start = (
            f"edgebook: {small_run.folder}: another `edgebook run` is at work there: process {process.pid} on {platform.node()}"
        )
        assert errors.startswith(start)
        assert errors.count("\n") == 1
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert small_run(preset(points=[points("fine")]))[0] == 0
    assert not asked.exists(), "it was of an earlier start"


def test_a_kernel_stands_where_the_user_stands_with_the_threads_of_its_parameters(small_run, preset, notebooks, tmp_path):
    """With a long TMPDIR, braces in a path, and modules in the current folder that must not be imported."""
    long, reports = tmp_path / ("t" * 130), tmp_path / "{re}ports"
    long.mkdir()
    for module in ("numpy", "yaml"):
        (small_run.home / f"{module}.py").write_text("raise SystemError('imported')")
    asked = "{os.environ['OMP_NUM_THREADS']} {os.getcwd()} {os.environ['PYTHONSAFEPATH']}"
    line = json.dumps(f"write(2)\n(folder / 'environment').write_text(f\"{asked}\")")[1:-1]
    book = notebooks / "20_sweep.ipynb"
    book.write_text(book.read_text().replace("write(2)", line))
    changes = {"shared": {"threads": 2}, "once": []}
    code, _, errors = small_run(preset(**changes), TMPDIR=str(long), EDGEBOOK_REPORTS=str(reports))
    assert (code, errors) == (0, "")
    assert (reports / "small" / "environment").read_text() == f"2 {small_run.home} 1"
    assert list(long.iterdir()) == []


def test_a_place_that_cannot_be_written_is_found_before_anything_starts(small_run, preset, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    for variable in ("EDGEBOOK_REPORTS", "EDGEBOOK_STORE", "EDGEBOOK_LOCK"):
        code, lines, errors = small_run(preset(), **{variable: str(blocked)})
        assert (code, lines) == (2, [])
        assert errors.count("\n") == 1
        assert errors.startswith(f"edgebook: {blocked}")
    assert blocked.read_text() == "no folder"


def test_a_bad_preset_leaves_no_folder(small_run, preset):
    code, _, errors = small_run(preset(shared={"threads": 0}))
    assert code == 2
    assert "threads = 0" in errors
    assert not small_run.folder.exists()
