"""Scores and their uncertainty: numpy in, numbers out. METRICS names every metric; nothing else knows them."""

from __future__ import annotations

from edgebook.metrics.anomaly import AUC
from edgebook.metrics.classification import ACCURACY
from edgebook.metrics.confusion import BALANCED_ACCURACY, MACRO_F1
from edgebook.metrics.metric import Metric
from edgebook.metrics.regression import NEGATIVE_MEAN_ABSOLUTE_ERROR
from edgebook.metrics.segmentation import MEAN_IOU

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (ACCURACY, BALANCED_ACCURACY, MACRO_F1, NEGATIVE_MEAN_ABSOLUTE_ERROR, AUC, MEAN_IOU)
}
