"""The documentation builds without a network, has no broken link, and its commands and references are those of the code."""

import importlib
import re
import shlex
import subprocess
import sys

import pytest
import typer
from repository import ROOT

from edgebook.cli import app
from edgebook.experiment.suitability import STAGES
from edgebook.parameters import PARAMS
from edgebook.rows import COLUMNS
from edgebook.runner.notebook_file import reads
from edgebook.tasks.kinds import KINDS

INCLUDED = ["choosing_figures", "frontier_figures"]  # parts of other pages
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("examples/*.md"))]
PROMPT = re.compile(r"^\$ (?:\.venv/bin/)?edgebook (.+?)(?: +#.*)?$", re.M)
COMMANDS = sorted({command for path in PAGES for command in PROMPT.findall(path.read_text(encoding="utf-8"))})


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built documentation; a broken link ends the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-d",
        str(folder / "trees"),
        str(ROOT / "docs"),
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_first_link_is_the_primer_and_every_notebook_has_a_page(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    body = index[index.index('id="edgebook">') :]
    assert re.search(r'href="([^"#]+\.html)', body)[1] == "generated/notebooks/00_primer.html"
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert (site / "generated" / "notebooks" / f"{notebook.stem}.html").is_file()


def test_formulas_need_no_script(site):
    primer = (site / "generated/notebooks/00_primer.html").read_text(encoding="utf-8")
    assert primer.count("<math") > 10
    assert not re.search(r"<script[^>]*mathjax", primer, re.IGNORECASE)


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("parameters", PARAMS),
        ("columns", COLUMNS),
        ("commands", [f"edgebook {name}" for name in typer.main.get_command(app).commands]),
    ],
)
def test_references_name_everything(site, page, names):
    text = re.sub(r"<[^>]+>", "", (site / "generated" / f"{page}.html").read_text(encoding="utf-8"))
    assert [name for name in names if name not in text] == []


@pytest.mark.parametrize("path", [path for path in PAGES if path.stem not in INCLUDED], ids=lambda path: path.stem)
def test_every_page_has_an_example(path):
    assert "```" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_have_these_arguments_and_options(command):
    name, *arguments = shlex.split(command)
    context = typer.main.get_command(app).commands[name].make_context(name, arguments)
    assert len(context.params) >= len([argument for argument in arguments if argument.startswith("--")])


def test_the_page_of_kinds_has_every_kind_and_every_notebook_that_reads_data():
    text = (ROOT / "docs" / "kinds.md").read_text(encoding="utf-8")
    (head,) = re.findall(r"^\| notebook \| (.+) \|$", text, re.M)
    assert set(head.split(" | ")) == set(KINDS)
    stems = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb") if "data" in reads(path.stem)}
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.M)) == stems


def test_the_page_of_layers_has_every_layer_and_technique(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    layers = importlib.import_module("layer_networks").LAYERS
    text = (ROOT / "docs" / "layers.md").read_text(encoding="utf-8")
    assert set(layers.values()) <= set(re.findall(r"^\| (.+?) \|", text, re.M))
    assert all(f"| {stage} |" in text for stage in STAGES)
