"""Running: what is done is found, what is damaged is done again, one failure takes nothing else along, nothing stays behind."""

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest


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
    assert [line.split(": ", 1)[1].split(" (")[0] for line in lines] == [
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


ERRORS = {
    "fail later": "TypeError: 'module' object is not subscriptable",
    "kill the kernel": "DeadKernelError: Kernel died",
    "kill the process": "its process ended: SIGKILL, perhaps out of memory",
    "unpageable": "the page could not be written: RuntimeError: the renderer gave up: for a reason",
}


def test_rows_that_were_measured_stay_whatever_fails_afterwards(small_run, preset, points):
    path = preset(points=[points(step) for step in [*ERRORS, "fine"]], once=[])
    code, lines, _ = small_run(path)
    assert code == 1
    rows = {name.stem: small_run.rows(name.stem) for name in (small_run.folder / "rows").iterdir()}
    failed = [these for these in rows.values() if these[-1]["status"] == "failed"]
    assert sorted(these[-1]["error"] for these in failed) == sorted(ERRORS.values())
    for these in failed:
        assert [row["status"] for row in these] == ["ok", "ok", "failed"]
        assert all((small_run.folder / row["artifact"]).is_file() for row in these[:2])
    assert sorted(map(len, rows.values())) == [2, 3, 3, 3, 3]
    assert sum("FAILED" in line for line in lines) == 4


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_with_one_line_and_the_same_command_goes_on(number, small_run, preset, points, notebooks):
    process, pids = sleeping(small_run, preset, points)
    sockets = sockets_of(pids[0])
    os.utime(sockets, (1, 1))
    sent = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    print(f"stopped after {time.monotonic() - sent:.2f} s")
    assert process.returncode == 128 + number
    assert errors.strip() == "edgebook: stopped; the same command goes on"
    wait_for(lambda: gone(pids), 10)
    assert not sockets.exists()
    if number == signal.SIGTERM:
        return
    book = notebooks / "20_sweep.ipynb"
    book.write_text(book.read_text().replace("time.sleep(600)", "time.sleep(0)"))
    code, lines, errors = small_run(preset(points=[points("sleep")]))
    assert (code, errors) == (0, "")
    assert words(lines) == {"20_sweep": "ok", "90_read": "ok"}


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
    try:
        code, lines, errors = small_run(preset(points=[points("fine")]))
        assert (code, lines) == (2, [])
        assert errors == f"edgebook: {small_run.folder}: another `edgebook run` is at work there\n"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


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
    for variable in ("EDGEBOOK_REPORTS", "EDGEBOOK_STORE"):
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
