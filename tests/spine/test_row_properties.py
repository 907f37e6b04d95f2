"""Rows survive being joined, written, read and flattened, whatever they hold."""

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebook import rows

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.none() | st.booleans() | NUMBERS | st.text()
OBJECTS = st.dictionaries(
    st.text().filter(lambda name: name not in rows.EXTRA), VALUES | st.lists(VALUES, max_size=3), max_size=3
)
COLUMNS = {
    **dict.fromkeys(rows.NUMBERS - {"schema"}, NUMBERS),
    **dict.fromkeys(set(rows.TEXTS) - {"row_id", "status", "role"}, st.text()),
    **dict.fromkeys(rows.OBJECTS, OBJECTS),
    "role": st.sampled_from([*rows.ROLES]),
    "status": st.sampled_from([*rows.STATUSES]),
}
PART = st.fixed_dictionaries({}, optional=dict(sorted(COLUMNS.items())))
WHOLE = st.builds(lambda row_id, part: rows.build({"row_id": row_id}, part), st.text(min_size=1), PART)


@given(st.lists(WHOLE, max_size=4, unique_by=lambda row: row["row_id"]))
def test_written_rows_are_read_back(written):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows" / "one.jsonl"
        rows.write_rows(path, written)
        assert rows.read(path) == rows.read(Path(folder)) == (written, [])
        assert [file.name for file in path.parent.iterdir()] == ["one.jsonl"]


@given(WHOLE)
def test_a_flat_row_has_every_value_once(row):
    flat = rows.flatten(row)
    for name in rows.OBJECTS:
        assert {key: flat.pop(f"{name}.{key}") for key in row[name] or {}} == (row[name] or {})
    assert flat == {name: value for name, value in row.items() if name not in rows.OBJECTS}


@given(PART, PART, PART)
def test_parts_may_be_joined_in_groups(a, b, c):
    assert rows.build(a, b, c) == rows.build(rows.join(a, b), c) == rows.build(a, rows.join(b, c))


@given(PART, PART)
def test_later_parts_win_value_by_value(a, b):
    row = rows.build(a, b)
    plain = {name: value for name, value in (a | b).items() if name not in ("asked", "extra")}
    assert plain.items() <= row.items()
    assert row["asked"] == {**a.get("asked", {}), **b.get("asked", {})}
    assert row["extra"] == {**a.get("extra", {}), **b.get("extra", {})}


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_json_cannot_hold_is_refused_and_the_old_rows_stay(tmp_path, number):
    path = tmp_path / "one.jsonl"
    before = rows.build({"row_id": "a", "label": "before"})
    rows.write_rows(path, [before])
    with pytest.raises(ValueError, match="not JSON compliant"):
        rows.write_rows(path, [rows.build({"score": number})])
    assert rows.read(path) == ([before], [])
