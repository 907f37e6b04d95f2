"""Kinds of task: what the outputs of a network mean, how it is trained, and by which metric it is scored.

A new kind is one file here, its line in KINDS, a test, and its metric in `edgebook.metrics` where that has none.
"""

from __future__ import annotations

from edgebook.tasks.kinds.anomaly import ANOMALY
from edgebook.tasks.kinds.classification import CLASSIFICATION
from edgebook.tasks.kinds.kind import Kind
from edgebook.tasks.kinds.regression import REGRESSION
from edgebook.tasks.kinds.segmentation import SEGMENTATION

KINDS: dict[str, Kind] = {kind.name: kind for kind in (CLASSIFICATION, REGRESSION, ANOMALY, SEGMENTATION)}
