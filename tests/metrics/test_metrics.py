"""What every metric in the table promises."""

import numpy as np
import pytest

from edgebook.metrics import METRICS
from edgebook.metrics.verdicts import verdict

N = 120
RANDOM = np.random.default_rng(0)
LABELS, PIXELS = np.arange(N) % 3, RANDOM.integers(0, 3, (N, 4, 4))
INPUTS = RANDOM.normal(size=(N, 5)).astype(np.float32)
CASES = {  # metric -> (perfect outputs, targets); for AUC anomalies are reconstructed badly
    "accuracy": (np.eye(3)[LABELS], LABELS),
    "balanced_accuracy": (np.eye(3)[LABELS], LABELS),
    "macro_f1": (np.eye(3)[LABELS], LABELS),
    "neg_mean_absolute_error": (INPUTS, INPUTS),
    "auc": (INPUTS * (LABELS == 0)[:, None], (LABELS > 0).astype(np.int64)),
    "mean_iou": (np.eye(3)[PIXELS].transpose(0, 3, 1, 2), PIXELS),
}


def test_every_metric_is_covered_here():
    assert CASES.keys() == METRICS.keys()


@pytest.fixture(params=METRICS.values(), ids=lambda metric: metric.name)
def case(request):
    """(metric, item scores without an error, item scores of noisy outputs, targets)."""
    outputs, targets = CASES[request.param.name]
    noisy = outputs + np.random.default_rng(1).normal(0, 0.8, outputs.shape)
    good, bad = (request.param.item_scores(x.astype(np.float32), INPUTS, targets) for x in (outputs, noisy))
    return request.param, good, bad, targets


def test_perfect_outputs_score_what_is_perfect_and_better_than_noise_and_chance(case):
    metric, good, bad, targets = case
    assert metric.score(good, targets) == pytest.approx(metric.perfect)
    assert metric.score(bad, targets) < metric.score(good, targets)
    assert metric.chance(targets) < metric.score(good, targets)


def test_intervals_hold_their_figures_and_tell_good_from_bad(case):
    metric, good, bad, targets = case
    for items in (good, bad):
        lo, hi = metric.interval(items, targets)
        assert lo <= metric.score(items, targets) <= hi
    delta, lo, hi = metric.difference(bad, good, targets)
    assert lo <= delta <= hi
    assert delta == pytest.approx(metric.score(bad, targets) - metric.score(good, targets), abs=1e-6)
    assert verdict(lo, hi, metric.margin(targets)) == "worse"
    assert verdict(*metric.difference(good, bad, targets)[1:], metric.margin(targets)) == "better"


def test_a_subset_of_the_items_is_scored_from_item_scores_alone(case):
    metric, _, bad, targets = case
    picked = np.random.default_rng(2).permutation(N)[: N // 2]
    assert np.isfinite([metric.score(bad[picked], targets[picked]), *metric.interval(bad[picked], targets[picked])]).all()


def test_how_people_read_it_is_complete(case):
    metric, _, _, targets = case
    assert metric.label
    assert metric.margin(targets) > 0
    assert metric.decimals >= 0
    assert metric.scale > 0  # higher is better, also as shown
    plain = metric.details(np.asarray(CASES[metric.name][0], np.float32), targets)
    assert all(isinstance(value, float | list | type(None)) for value in plain.values())
