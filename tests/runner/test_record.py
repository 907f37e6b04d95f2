"""Records: believed only when they are whole and everything that they name is as it was left."""

import json

import pytest

from edgebook.runner.record import Record, files_of, find_record, record_path, write_record

NAME = "20_sweep--digits-mlp-abc--s0"
PLACES = (
    f"rows/{NAME}.jsonl",
    f"pages/{NAME}.html",
    f"notebooks/{NAME}.ipynb",
    f"samples/{NAME}.npz",
    f"artifacts/{NAME}/1.onnx",
    f"artifacts/{NAME}/1.json",
)


@pytest.fixture
def left(tmp_path):
    """A run's folder with everything that an execution leaves, and its record."""
    for place in PLACES:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(place)
    write_record(tmp_path, NAME, Record("key", "ok", None, 1.5, files_of(tmp_path, NAME)))
    return tmp_path


def test_everything_that_is_left_is_in_the_record(left):
    record, reason = find_record(left, NAME, "key")
    assert set(record.files) == set(PLACES)
    assert reason is None


def test_another_key_or_a_failure_is_no_result(left):
    assert find_record(left, NAME, "another") == (None, None)
    assert find_record(left, "10_other", "key") == (None, None)
    write_record(left, NAME, Record("key", "failed", "why"))
    assert find_record(left, NAME, "key") == (None, None)


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_is_gone_or_changed_is_named(left, place):
    (left / place).write_text("changed")
    assert find_record(left, NAME, "key") == (None, f"{place} is damaged")
    (left / place).write_text("")
    assert find_record(left, NAME, "key") == (None, f"{place} is damaged")
    (left / place).unlink()
    assert find_record(left, NAME, "key") == (None, f"{place} is missing")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "[]",
        "3",
        '"ok"',
        "NaN",
        "{}",
        '{"schema": 1}',
        "[" * 100_000,
        b"\xff\xfe",
        {"schema": 0},
        {"schema": 2},
        {"key": None},
        {"status": 3},
        {"files": ["a"]},
        {"files": None},
        {"seconds": "long"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_damaged_record_is_named(left, content):
    path = record_path(left, NAME)
    whole = json.loads(path.read_text())
    text = json.dumps(whole | content) if isinstance(content, dict) and content else content
    path.write_bytes(text if isinstance(text, bytes) else str(text).encode())
    assert find_record(left, NAME, "key") == (None, f"state/{NAME}.json is damaged")
