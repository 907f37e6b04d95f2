"""Rows -> figures. Every function returns a matplotlib Figure; its title is also its alt text."""

from edgebook.report.plots.adaptation import adaptation
from edgebook.report.plots.bars import bars
from edgebook.report.plots.boards import boards
from edgebook.report.plots.confusion import confusion
from edgebook.report.plots.effects import effects
from edgebook.report.plots.front import front
from edgebook.report.plots.heat_map import heat_map
from edgebook.report.plots.items import items
from edgebook.report.plots.learning_curve import learning_curve
from edgebook.report.plots.lines import lines
from edgebook.report.plots.pictures import curves, matrices
from edgebook.report.plots.sweep import sweep

__all__ = [
    "adaptation",
    "bars",
    "boards",
    "confusion",
    "curves",
    "effects",
    "front",
    "heat_map",
    "items",
    "learning_curve",
    "lines",
    "matrices",
    "sweep",
]
