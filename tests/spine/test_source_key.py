"""Keys of source: complete (what is used counts) and narrow (nothing else does)."""

import importlib
import os
import subprocess
import sys
import textwrap
import time

import pytest

from edgebook import source_key, source_neutral
from edgebook.errors import BadInput
from edgebook.libraries import versions_of
from edgebook.source_key import closure
from edgebook.user_source import user_source

PACKAGE = {
    "__init__": "",
    "work": '''
        """Prose."""
        import math
        import yaml
        from typing import TYPE_CHECKING
        from demo import other, tables
        from demo.inner.deep import helper as renamed
        from demo.records import RECORD
        if TYPE_CHECKING:
            from demo import types_only

        FACTOR, UNUSED = 2, 3
        SETTINGS = {"a": 1}
        SETTINGS["b"] = FACTOR

        class Base:
            def method(self):
                return other.used()

        class Layer(Base):
            size: int = 4

        def run(x: int) -> int:
            """What comes back."""
            from demo.lazy import late
            return Layer().method() + renamed(x) + late() + tables.pick("second") + RECORD.call(x)

        def unrelated():
            return yaml.dump(1)
        ''',
    "other": """
        def used():
            return CONSTANT
        CONSTANT = 5
        def unused():
            return 6
        """,
    "inner/__init__": "from demo.inner.deep import helper",
    "inner/deep": """
        from ..other import CONSTANT as LIMIT
        def helper(x, limit=LIMIT):
            return x if isinstance(x, Marker) else limit
        class Marker:
            pass
        """,
    "lazy": """
        def late():
            return 7
        """,
    "tables": """
        import importlib
        TABLE = {"first": "demo.entries:first", "second": "demo.entries:second"}
        def pick(name):
            module, _, attribute = TABLE[name].partition(":")
            return getattr(importlib.import_module(module), attribute)()
        """,
    "entries": """
        def first():
            return 1
        def second():
            return 2
        """,
    "records": """
        class Record:
            def __init__(self, call):
                self.call = call
        def double(x):
            return 2 * x
        RECORD = Record(double)
        OTHER = Record(lambda x: x)
        """,
    "types_only": "X = 1",
    "quiet": """
        def log():
            return 8
        """,
}


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """A function that writes the package, with replacements in some modules, and gives the digest of demo.work.run."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "demo", raising=False)
    monkeypatch.delitem(sys.modules, "demo.other", raising=False)
    folder = tmp_path / "demo"

    def digest(*edits, root="demo.work:run", **more):
        for name, text in PACKAGE.items():
            text = textwrap.dedent(text)
            for module, old, new in edits:
                if module == name:
                    assert old in text, f"{old!r} is not in {module}"
                    text = text.replace(old, new)
            file = folder / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            now = time.time_ns()
            os.utime(file, ns=(now, now))
        importlib.invalidate_caches()
        return closure(root, packages=["demo"], **more).digest

    return digest


COMPLETE = {
    "the function": ("work", "return Layer()", "return 1 + Layer()"),
    "a default of an argument": ("inner/deep", "limit=LIMIT", "limit=9"),
    "a function of another module": ("other", "return CONSTANT", "return CONSTANT + 1"),
    "a constant of another module": ("other", "CONSTANT = 5", "CONSTANT = 6"),
    "a class that is instantiated": ("work", "size: int = 4", "size: int = 5"),
    "a field of a class": ("work", "size: int = 4", "size: int = 4\n    more: int = 0"),
    "a base class": ("work", "return other.used()", "return 2 * other.used()"),
    "a function under another name": ("inner/deep", "return x if", "return -x if"),
    "a class that is only compared with": ("inner/deep", "pass", "size = 1"),
    "an import inside a function": ("lazy", "return 7", "return 8"),
    "a package's __init__": ("inner/__init__", "from demo.inner.deep import helper", "import sys\nsys.setrecursionlimit(9)"),
    "an entry that a text in the code selects": ("entries", "return 2", "return 3"),
    "where an entry leads": ("tables", '"demo.entries:second"', '"demo.entries:first"'),
    "the statements that run at import": ("work", 'SETTINGS["b"] = FACTOR', 'SETTINGS["b"] = 4'),
    "a constant that only they use": ("work", "FACTOR, UNUSED = 2, 3", "FACTOR, UNUSED = 4, 3"),
    "a record": ("records", "RECORD = Record(double)", "RECORD = Record(abs)"),
    "a function in a record": ("records", "return 2 * x", "return 3 * x"),
    "a decorator": ("other", "def used", "import functools\n@functools.cache\ndef used"),
    "an exception handler": ("lazy", "    return 7", "    try:\n        return 7\n    except ValueError:\n        return 8"),
}


@pytest.mark.parametrize("edit", COMPLETE.values(), ids=COMPLETE.keys())
def test_what_is_used_is_in_the_key(edit, demo):
    before = demo()
    assert demo(edit) != before
    assert demo() == before


NARROW = {
    "a docstring": ("work", "What comes back.", "What comes back, in other words."),
    "the docstring of the module": ("work", "Prose.", "Other prose."),
    "a comment": ("work", "return Layer()", "# a comment\n    return Layer()"),
    "white space": ("work", "import math", "\n\nimport math"),
    "an annotation": ("work", "x: int) -> int", "x: float) -> float"),
    "the annotation of a field": ("work", "size: int = 4", "size: float = 4"),
    "a function beside it": ("work", "return yaml.dump(1)", "return 1"),
    "a function beside one that is used": ("other", "return 6", "return 7"),
    "a new function": ("other", "CONSTANT = 5", "CONSTANT = 5\ndef fresh():\n    return 1"),
    "an unused constant": ("records", "OTHER = Record(lambda x: x)", "OTHER = 1"),
    "an entry that nobody selects": ("entries", "return 1", "return 9"),
    "a new entry": ("tables", '"first":', '"third": "demo.entries:third", "first":'),
    "an import for type checkers": ("types_only", "X = 1", "X = 2"),
    "the order of definitions": ("other", "CONSTANT = 5\n", ""),
}


@pytest.mark.parametrize("name", NARROW)
def test_nothing_else_is_in_the_key(name, demo):
    before, edits = demo(), [NARROW[name]]
    if name == "the order of definitions":
        edits = [("other", "CONSTANT = 5\n", ""), ("other", "def used", "CONSTANT = 5\ndef used")]
    assert demo(*edits) == before


def test_names_select_the_entries_of_a_registry(demo):
    plain = demo()
    edit = ("entries", "return 1", "return 9")
    assert demo(names=["second"]) == plain
    assert demo(names=["first"]) != plain
    assert demo(edit, names=["first"]) != demo(names=["first"])


@pytest.mark.parametrize(
    "table",
    [
        'register(Run("first", "demo.entries:first"), Run("second", "demo.entries:second"))',
        'register(Run("first", "demo.entries:first"), *(Run(name, "demo.entries:second") for name in ("second", "third")))',
        '{run.name: run for run in (Run("first", "demo.entries:first"), Run("second", "demo.entries:second"))}',
    ],
)
def test_a_registry_of_records_is_one_too(table, demo):
    records = ("tables", "TABLE = {", f"TABLE = {table}\nOLD = {{")
    first = {"root": "demo.tables:TABLE", "names": ["first"]}
    selected = demo(records, **first)
    assert demo(records, ("entries", "return 1", "return 9"), **first) != selected
    assert demo(records, ("entries", "return 2", "return 9"), **first) == selected


def test_an_entry_selects_the_one_that_it_names_and_not_its_libraries(demo):
    table = 'TABLE = register(Run("first", "demo.entries:first", WHAT), Run("second", "demo.entries:second"))'
    first = {"root": "demo.tables:TABLE", "names": ["first"]}
    for named, counts in (('parent="second"', True), ('libraries=("second",)', False)):
        records = ("tables", "TABLE = {", f"TABLE = {table.replace('WHAT', named)}\nOLD = {{")
        selected = demo(records, **first)
        assert (demo(records, ("entries", "return 2", "return 9"), **first) != selected) == counts


def test_neutral_source_does_not_count(demo, monkeypatch):
    uses = ("work", "return Layer()", "from demo import quiet\n    quiet.log()\n    return Layer()")
    edit = ("quiet", "return 8", "return 9")
    assert demo(uses, edit) != demo(uses)
    monkeypatch.setattr(source_neutral, "NEUTRAL", source_neutral.NEUTRAL | {"demo.quiet"})
    assert demo(uses, edit) == demo(uses)


def test_everything_that_is_neutral_exists():
    for entry in source_neutral.NEUTRAL:
        module, _, name = entry.partition(":")
        assert importlib.util.find_spec(module), entry
        assert not name or name in source_key.read_module(module).definitions, entry


def test_versions_count_where_a_library_is_used(demo, monkeypatch):
    before, unrelated = demo(), demo(root="demo.work:unrelated")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99")
    assert demo(root="demo.work:unrelated") != unrelated
    assert demo() == before, "run does not use PyYAML"


def test_an_imported_package_is_found_by_its_distribution():
    assert versions_of(["yaml", "torch_pruning", "sklearn", "json", "nobody_has_this"]).keys() == {
        "PyYAML",
        "torch-pruning",
        "scikit-learn",
    }


def test_the_key_is_the_same_in_every_process(demo, tmp_path):
    code = "from edgebook.source_key import closure; print(closure('demo.work:run', packages=['demo']).digest)"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    expected = demo()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment | {"PYTHONHASHSEED": seed}, capture_output=True, text=True
        )
        assert done.stdout.strip() == expected, done.stderr


def test_what_a_process_runs_is_not_taken_for_source_that_was_edited_since(demo, monkeypatch):
    before = demo()
    importlib.import_module("demo.other")
    assert demo() != before, "the files are newer than this process, which has imported one of them"
    monkeypatch.setattr(source_key, "STARTED_NS", time.time_ns() + 10**12)
    assert demo() == before


def test_code_of_a_notebook(demo):
    demo()

    def digest(code):
        return closure(code=code, packages=["demo"]).digest

    code = "from demo.other import used\nx = used()\n"
    assert digest(code) == digest(code + "# a comment\n")
    assert digest(code) != digest(code + "used()\n")
    demo(("other", "return CONSTANT", "return 0"))
    edited = digest(code)
    demo(("other", "return 6", "return 0"))
    assert digest(code) != edited
    demo()
    assert digest(code) == digest("from demo.other import used\nx = used()\n")


def test_roots_without_a_place_are_refused():
    captured = 1
    for root in (lambda: captured, lambda: 1, object()):
        with pytest.raises(BadInput, match="its result cannot be stored"):
            closure(root)


def test_a_value_of_a_module_is_followed_where_it_is_defined():
    from edgebook.tasks.kinds import CLASSIFICATION

    reached = closure(CLASSIFICATION).definitions
    assert any(place.endswith(":cross_entropy") for place in reached)
    assert "edgebook.training.loop:train" not in reached


def test_training_depends_on_the_loop_and_not_on_data_sets_runtimes_lock_or_report():
    reached = {place.split(":")[0] for place in closure("edgebook.training.loop:train").definitions}
    assert {"edgebook.training.loop", "edgebook.training.losses"} <= reached
    assert not {module.split(".")[1] for module in reached if "." in module} & {
        "tasks",
        "runtimes",
        "report",
        "runner",
        "experiment",
    }
    assert source_neutral.is_neutral("edgebook.lock")


def test_a_users_network_is_read_with_all_that_it_imports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "blocks").mkdir()
    files = {
        "net.py": "import torch, json\nfrom blocks.conv import block\nfrom edgebook.models.layers import conv_bn\nW = 'w.bin'\n",
        "blocks/__init__.py": "",
        "blocks/conv.py": "from .act import act\nimport plain",
        "blocks/act.py": "",
        "plain.py": "",
        "unrelated.py": "",
        "w.bin": "1",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    before = user_source("net.py:build")
    assert "torch" in before
    assert "json" not in before
    for name in files:
        (tmp_path / name).write_text(files[name] + "\n# changed\n")
        assert (user_source("net.py:build") == before) == (name == "unrelated.py"), name
        (tmp_path / name).write_text(files[name])
    with pytest.raises(BadInput, match=r"none.py: cannot be read"):
        user_source("none.py:build")
