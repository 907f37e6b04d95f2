"""The row: its columns are a contract, and what was written is read back or named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from example_rows import baselines

from edgebook import files, rows
from edgebook.errors import BadInput
from edgebook.run_folder import write_run

COLUMNS = (Path(__file__).parent / "row_columns.txt").read_text().split()


def test_the_columns_are_a_contract():
    assert list(rows.COLUMNS) == COLUMNS
    assert rows.SCHEMA == 4
    assert {*rows.TEXTS, *rows.OBJECTS} <= set(COLUMNS)
    assert len(rows.NUMBERS) + len(rows.TEXTS) + len(rows.OBJECTS) == len(COLUMNS)


def test_what_is_written_is_read_back(tmp_path):
    rows.write_rows(tmp_path / "a.jsonl", baselines())
    assert rows.read(tmp_path / "a.jsonl") == (baselines(), [])
    assert rows.read_rows(tmp_path / "a.jsonl") == baselines()


WHOLE = json.dumps(baselines()[0])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (WHOLE[:200], "line 1 column 201"),
        ("", "Expecting value"),
        ("[1, 2]", "list where a row"),
        ("null", "NoneType where a row"),
        ("1" * 5000, "digits|int where a row"),
        ("[" * 100_000, "RecursionError"),
        (WHOLE.replace('"score": 0.9372', '"score": NaN'), "NaN is no number of a row"),
        (WHOLE.replace('"score": 0.9372', '"score": 1e999'), "1e999 is no number of a row"),
        (WHOLE.replace('"score": 0.9372', '"score": 1' + "0" * 400), "OverflowError"),
        (WHOLE.replace('"score": 0.9372', '"score": "0.9"'), "score = '0.9'"),
        (WHOLE.replace('"score": 0.9372', '"score": true'), "score = True"),
        (WHOLE.replace('"score": 0.9372, ', ""), "without score"),
        (WHOLE.replace('"schema": 4', '"schema": 3'), "schema 3, this version reads 4"),
        (WHOLE.replace('"extra": {}', '"extra": []'), "extra ="),
        (WHOLE.replace('"extra": {}', '"extra": {"deep": [1e999]}'), "1e999 is no number of a row"),
        (WHOLE.replace('"extra": {}', '"extra": {"flags": 5}'), "extra.flags = 5"),
        (WHOLE.replace('"label": "float baseline"', '"label": 5'), "label = 5"),
        (WHOLE.replace('"label": "float baseline"', '"label": "\\ud800"'), "surrogates"),
        (WHOLE.replace('"status": "ok"', '"status": "fine"'), "status = 'fine'"),
        (WHOLE.replace('"role": "baseline"', '"role": "boss"'), "role = 'boss'"),
        (WHOLE, "was read before"),
    ],
)
def test_a_broken_line_is_left_out_and_named(tmp_path, line, reason):
    file = tmp_path / "rows" / "a.jsonl"
    rows.write_rows(file, baselines()[:2])
    with file.open("a") as stream:
        stream.write(f"{line}\n{json.dumps(baselines()[2])}\n")
    kept, problems = rows.read(tmp_path)
    assert kept == baselines()[:3]
    assert len(problems) == 1
    assert problems[0].startswith("a.jsonl:3: ")
    assert "\n" not in problems[0]
    assert len(problems[0]) < 300
    assert any(part in problems[0] for part in reason.split("|")), problems[0]
    with pytest.warns(UserWarning, match="a.jsonl:3"):
        assert rows.read_rows(tmp_path) == kept


def test_bytes_that_are_no_text_are_named(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.jsonl").write_bytes(b"\xff\xfe{}\n")
    assert rows.read(tmp_path)[0] == []
    assert len(rows.read(tmp_path)[1]) == 1


def test_only_the_executions_of_the_preset_are_read(tmp_path):
    for name, row in zip("ab", baselines(), strict=False):
        rows.write_rows(tmp_path / "rows" / f"{name}.jsonl", [row])
    assert len(rows.read(tmp_path)[0]) == 2
    write_run(tmp_path, "quick", ["b"])
    whole = (tmp_path / "run.json").read_text()
    assert rows.read(tmp_path) == (baselines()[1:2], [])
    for broken in ("{", "[]", "3", "[" * 100_000, '{"executions": 5}', whole.replace('"b"', '"a"')):
        (tmp_path / "run.json").write_text(broken)
        shown, problems = rows.read(tmp_path)
        assert len(shown) == 2
        assert problems[0].startswith("run.json: ")


def test_rows_that_are_not_as_they_were_left_are_named(tmp_path):
    """A flipped bit in a digit leaves a line that can be read."""
    file = tmp_path / "rows" / "a.jsonl"
    rows.write_rows(file, baselines())
    digest = {"files": {"rows/a.jsonl": files.sha256(file)}}
    files.write_sealed_json(tmp_path / "state" / "a.json", digest)
    assert rows.read(tmp_path) == (baselines(), [])
    whole = file.read_bytes()
    score = whole.index(b'"score": 0.') + len(b'"score": 0.')
    file.write_bytes(whole[:score] + bytes([whole[score] ^ 1]) + whole[score + 1 :])
    shown, problems = rows.read(tmp_path)
    assert shown[0]["score"] != baselines()[0]["score"]
    assert problems == ["a.jsonl: differs from what was measured; `edgebook run` measures it again"]


def test_no_rows_is_bad_input(tmp_path):
    for path in (tmp_path, tmp_path / "none.jsonl"):
        with pytest.raises(BadInput, match="no rows here"):
            rows.read(path)


def test_parts_are_joined_and_unknown_columns_refused():
    row = rows.build({"asked": {"a": 1}, "label": "x"}, {"asked": {"b": 2}, "extra": {"c": 3}, "label": "y"})
    assert (row["asked"], row["extra"], row["label"], row["score"]) == ({"a": 1, "b": 2}, {"c": 3}, "y", None)
    with pytest.raises(KeyError, match="scor"):
        rows.build({"scor": 1})
    assert rows.flatten(row | {"machine": {"cpu": "x"}})["machine.cpu"] == "x"
    assert rows.flatten(row)["asked.b"] == 2
