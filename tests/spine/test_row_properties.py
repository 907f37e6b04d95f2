"""Rows survive being joined, written, read and flattened, whatever they hold."""

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebook import rows

VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
OBJECTS = st.dictionaries(st.text(), VALUES | st.lists(VALUES, max_size=3), max_size=3)
NAMES = sorted(rows.COLUMNS.keys() - {"schema", "status", "asked", "extra", "versions", "machine"})
PARTS = st.fixed_dictionaries(
    {}, optional={"asked": OBJECTS, "extra": OBJECTS, **{name: VALUES for name in ("score", "label", "seed", "size_bytes")}}
)
WHOLE = st.builds(
    lambda columns, objects: rows.build(columns, objects),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8),
    st.fixed_dictionaries({"asked": OBJECTS, "extra": OBJECTS, "versions": OBJECTS}),
)


@given(st.lists(WHOLE, max_size=4))
def test_written_rows_are_read_back(written):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows" / "one.jsonl"
        rows.write_rows(path, written)
        assert rows.read_rows(path) == written
        assert rows.read_rows(Path(folder)) == written
        assert [file.name for file in path.parent.iterdir()] == ["one.jsonl"]


@given(WHOLE)
def test_a_flat_row_has_every_value_once(row):
    flat = rows.flatten(row)
    for name in ("asked", "extra"):
        assert {key: flat.pop(f"{name}.{key}") for key in row[name]} == row[name]
    flat = {name: value for name, value in flat.items() if not name.startswith("versions.")}
    assert flat == {name: row[name] for name in rows.COLUMNS if name not in ("asked", "extra", "versions", "machine")}


@given(PARTS, PARTS, PARTS)
def test_parts_may_be_joined_in_groups(a, b, c):
    assert rows.build(a, b, c) == rows.build(rows.join(a, b), c) == rows.build(a, rows.join(b, c))


@given(PARTS, PARTS)
def test_later_parts_win_value_by_value(a, b):
    row = rows.build(a, b)
    plain = {name: value for name, value in (a | b).items() if name not in ("asked", "extra")}
    assert plain.items() <= row.items()
    assert row["asked"] == {**a.get("asked", {}), **b.get("asked", {})}
    assert row["extra"] == {**a.get("extra", {}), **b.get("extra", {})}


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_json_cannot_hold_is_refused_and_the_old_rows_stay(tmp_path, number):
    path = tmp_path / "one.jsonl"
    rows.write_rows(path, [rows.build({"label": "before"})])
    with pytest.raises(ValueError, match="not JSON compliant"):
        rows.write_rows(path, [rows.build({"score": number})])
    assert [row["label"] for row in rows.read_rows(path)] == ["before"]
