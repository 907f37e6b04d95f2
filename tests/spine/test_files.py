"""Files that are whole or absent, and what killed processes leave behind."""

import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from edgebook import files
from edgebook.errors import BadInput


def age(path):
    os.utime(path, (1, 1))


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "file"
    files.write_text(path, "ä")
    files.write_bytes(path, b"again")
    assert path.read_bytes() == b"again"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_text(path, "old")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(files.Unwritable, match="No space left"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"file/folder: cannot be written: Not a directory"):
        files.check_writable(tmp_path / "file" / "folder")
    files.check_writable(tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []


def hold(folder, ready):
    with files.held(folder):
        ready.set()
        time.sleep(60)


def test_what_a_living_process_holds_stays_and_what_a_killed_one_held_goes(tmp_path):
    folder = tmp_path / "sockets-1"
    folder.mkdir()
    (folder / "socket").write_text("")
    age(folder)
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=hold, args=(folder, ready))
    process.start()
    ready.wait(30)
    assert files.remove_abandoned(tmp_path, "sockets-*") == []
    with files.held(folder) as alone:
        assert not alone
    process.kill()
    process.join()
    assert files.remove_abandoned(tmp_path, "sockets-*") == [folder]
    assert list(tmp_path.iterdir()) == []


def test_what_was_made_just_now_and_what_has_another_name_stays(tmp_path):
    (tmp_path / "a.lock").write_text("")
    (tmp_path / "b.pt").write_text("")
    age(tmp_path / "b.pt")
    assert files.remove_abandoned(tmp_path, "*.lock") == []
    age(tmp_path / "a.lock")
    assert files.remove_abandoned(tmp_path, "*.lock") == [tmp_path / "a.lock"]


def test_a_temporary_folder_goes_whatever_happens(tmp_path):
    def fail():
        with files.temporary_folder(tmp_path, "x-") as folder:
            (folder / "file").write_text("")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


CHILD = """
import os, subprocess, sys, time
from edgebook.process import end_with_parent
if sys.argv[1] == "child":
    end_with_parent(int(sys.argv[2]))
    print(os.getpid(), flush=True)
    while True:  # never gives way: as a call into a library that does not return
        sum(range(10**7))
else:
    subprocess.Popen([sys.executable, "-c", os.environ["CHILD"], "child", str(os.getpid())])
    time.sleep(60)
"""


def test_a_process_ends_with_its_parent():
    parent = subprocess.Popen(
        [sys.executable, "-c", CHILD, "parent"], stdout=subprocess.PIPE, text=True, env={**os.environ, "CHILD": CHILD}
    )
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    for _ in range(100):
        try:
            with open(f"/proc/{child}/stat") as file:
                if file.read().split()[2] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.1)
    raise AssertionError("it lives on")
