"""What is removed from the store: by age, by size, never what may be in use; each entry whole."""

import os
import time

import pytest
from typer.testing import CliRunner

from edgebook.cleaning import entries, remove, to_remove
from edgebook.cli import app

DAY = 86400.0


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store of 1,000-byte entries that were not used for 40, 10, 1 and 0 days."""
    monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path))
    for days, place in {40: "a.pt", 10: "files/b/model.onnx", 1: "c.pt", 0: "d.pt"}.items():
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(1000))
        used = time.time() - days * DAY
        os.utime(file if file.suffix == ".pt" else file.parent, (used, used))
    (tmp_path / "unknown.txt").write_text("not an entry")
    return tmp_path


def removed(**limits):
    limits = {"older_than_days": None, "max_bytes": None} | limits
    return [entry.path.name for entry in to_remove(entries(), now=time.time(), **limits)]


def test_by_age_and_by_size_the_oldest_first_and_never_what_may_be_in_use(store):
    assert [(entry.path.name, entry.kind, entry.size_bytes) for entry in entries()] == [
        ("a.pt", "trained networks", 1000),
        ("b", "exported files", 1000),
        ("c.pt", "trained networks", 1000),
        ("d.pt", "trained networks", 1000),
    ]
    assert removed() == []
    assert removed(older_than_days=30) == ["a.pt"]
    assert removed(older_than_days=0) == ["a.pt", "b", "c.pt"]
    assert removed(max_bytes=4000) == []
    assert removed(max_bytes=2500) == ["a.pt", "b"]
    assert removed(max_bytes=0) == ["a.pt", "b", "c.pt"]
    assert removed(older_than_days=30, max_bytes=2000) == ["a.pt", "b"]


def test_the_command_shows_and_frees(store):
    def clean(*arguments):
        done = CliRunner().invoke(app, ["clean", *arguments])
        assert done.exit_code == 0, done.output
        return done.output.splitlines()[-1].partition(": ")[2]

    assert clean() == "0 of 4 entries removed, 0.0 MB; --older-than or --max-size-gb frees it"
    assert clean("--older-than", "5", "--dry-run") == "2 of 4 entries to remove, 0.0 MB"
    assert len(entries()) == 4
    assert clean("--older-than", "5") == "2 of 4 entries removed, 0.0 MB"
    assert sorted(path.name for path in store.rglob("*")) == ["c.pt", "d.pt", "files", "unknown.txt"]


def test_an_entry_that_went_by_itself_is_no_error(store):
    entry = entries()[0]
    entry.path.unlink()
    remove(entry)
    assert len(entries()) == 3
