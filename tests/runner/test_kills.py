"""kill -9 of all of a run, or of a kernel: nothing lives on, nothing is left, and the same command ends as if nothing had been.

A part of what benchmarks/kills.py does with the real notebooks.
"""

import os
import time

import psutil
import pytest

from edgebook.files import SCRATCH, is_free
from edgebook.runner.kernel import sockets_folder

VICTIMS = ["the group", "the kernel"]


def sleeping(small_run, path):
    """(a run whose one notebook sleeps, the process of its kernel)"""
    run, end = small_run.start(path), time.monotonic() + 300
    while time.monotonic() < end:
        for file in (small_run.folder / "pids").glob("*"):
            if text := file.read_text():
                return run, psutil.Process(int(text.split()[0]))
        time.sleep(0.05)
    raise AssertionError("no kernel has started")


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_run_leaves_nothing_and_goes_on(victim, small_run, preset, points, notebooks):
    run, kernel = sleeping(small_run, preset(points=[points("sleep")]))
    main = psutil.Process(run.pid)
    everyone = [main, *main.children(recursive=True)]
    victims = {
        "the group": [process for process in everyone if os.getpgid(process.pid) == os.getpgid(run.pid)],
        "the kernel": [kernel],
    }
    for process in victims[victim]:
        process.kill()
    run.communicate(timeout=300)
    assert psutil.wait_procs(everyone, timeout=5)[1] == []
    left = [folder for folder in sockets_folder().glob(f"{SCRATCH}*") if is_free(folder)]
    for folder in left:
        os.utime(folder, (1, 1))  # as if the next start were later
    book = notebooks / "20_sweep.ipynb"
    book.write_text(book.read_text().replace("time.sleep(600)", "time.sleep(0)"))
    code, _, errors = small_run(preset(points=[points("sleep")]))
    assert (code, errors) == (0, "")
    (rows,) = (small_run.folder / "rows").glob("20_*")
    assert [row["label"] for row in small_run.rows(rows.stem)] == ["row 0", "row 1"]
    places = [*small_run.folder.rglob("*"), *(small_run.home / "store").rglob("*")]
    assert [path for path in places if path.suffix in (".draft", ".lock")] == []
    assert [folder for folder in left if folder.exists()] == []
