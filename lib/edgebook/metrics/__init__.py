"""Scores and their uncertainty: numpy in, numbers out. METRICS names every metric; nothing else knows them."""

from __future__ import annotations

from edgebook.metrics.classification import ACCURACY
from edgebook.metrics.metric import Metric

METRICS: dict[str, Metric] = {metric.name: metric for metric in (ACCURACY,)}
