"""Sphinx: the pages of this folder, the notebooks as they are, and references made from the code. Nothing is executed or loaded
from the network.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE)]

import generate  # noqa: E402
from docutils.nodes import SkipNode  # noqa: E402
from latex2mathml.converter import convert  # noqa: E402

generate.write(HERE / "generated")

project = "Edgebook"
author = "the Edgebook contributors"
extensions = ["myst_nb"]
exclude_patterns = ["_build", "choosing_figures.md", "frontier_figures.md"]
html_theme = "furo"
html_title = "Edgebook"
html_show_sourcelink = False
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"


def inline_formula(writer, node) -> None:
    """A formula as MathML: browsers draw it without a script."""
    writer.body.append(convert(node.astext()))
    raise SkipNode


def block_formula(writer, node) -> None:
    """The same on a line of its own."""
    writer.body.append(convert(node.astext(), display="block"))
    raise SkipNode


def setup(app) -> None:
    """Register the formulas."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline_formula, None), block_renderers=(block_formula, None))


html_math_renderer = "mathml"
