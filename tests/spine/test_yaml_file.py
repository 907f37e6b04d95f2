"""YAML: what it reads as whom would surprise is refused in one line, or is what people mean."""

import pytest

from edgebook import yaml_file
from edgebook.errors import BadInput


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:30", "1:30"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("no", "no"),
        ("y", "y"),
        ("2026-01-01", "2026-01-01"),
        ("017", "017"),
        ("0x1F", "0x1F"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("3", 3),
        ("-3", -3),
        ("0", 0),
        ("1_000", 1000),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("1.0e+30", 1e30),
        ("-2.5e-3", -0.0025),
        (".inf", float("inf")),
        ("e3", "e3"),
        ("1.2.3", "1.2.3"),
        ("2:4", "2:4"),
        ("[0.5, l2, true]", [0.5, "l2", True]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("'on'", "on"),
    ],
)
def test_what_a_text_stands_for(text, value):
    parsed = yaml_file.parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key a is given twice"),
        ("shared: {seed: 0, seed: 1}", "line 1: the key seed is given twice"),
        ("5: a", "line 1: the key 5 is not a text"),
        ("on: {true: 1}", "line 1: the key True is not a text"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: could not determine a constructor"),
        ("a: !!set {b}", "line 1: could not determine"),
        ("a: [1", "line 1: expected ',' or ']'"),
        ("a: 1\n b: 2", "line 2: mapping values are not allowed here"),
        ("a: *b", "line 1: found undefined alias 'b'"),
        ("a: \x00", "unacceptable character #x0000: special characters are not allowed"),
        ("a: 1\n---\nb: 2", "line 2: but found another document"),
        (BOMB, "more than 100000 values"),
        ("a: &a [*a]", "more than 100000 values"),
        ("[" * 5000, "too many values inside each other"),
    ],
)
def test_what_is_wrong_is_one_line(text, said, tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(BadInput) as error:
        yaml_file.read(path)
    assert str(error.value).startswith(f"{path}: {said}"), error.value
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_mapping_or_no_text_is_refused(tmp_path):
    path = tmp_path / "file.yaml"
    for content, said in (
        (b"[1]", "a mapping is needed, not list"),
        (b"", "not NoneType"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=said):
            yaml_file.read(path)
    with pytest.raises(BadInput, match="cannot be read: No such file or directory"):
        yaml_file.read(tmp_path / "none.yaml")
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        yaml_file.read(tmp_path)
