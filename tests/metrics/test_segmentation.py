"""Mean IoU: scikit-learn, by hand, invariances, coverage when pixels of an item resemble each other."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, jaccard_score

from edgebook.metrics import METRICS

METRIC = METRICS["mean_iou"]


def maps(n: int, seed: int, changed: float = 0.2, classes: int = 3, side: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """(outputs (n, classes, side, side), targets): a share of the pixels predicted at random."""
    random = np.random.default_rng(seed)
    targets = random.choice(classes, (n, side, side), p=[0.7, *[0.3 / (classes - 1)] * (classes - 1)])
    predicted = np.where(random.random(targets.shape) < changed, random.integers(0, classes, targets.shape), targets)
    noise = random.uniform(-0.4, 0.4, (n, classes, side, side))
    return (np.eye(classes)[predicted].transpose(0, 3, 1, 2) + noise).astype(np.float32), targets


@pytest.mark.parametrize("seed", range(3))
def test_it_is_that_of_scikit_learn_over_all_pixels(seed):
    outputs, targets = maps(40, seed)
    predicted = outputs.argmax(1).ravel()
    items = METRIC.item_scores(outputs, outputs, targets)
    assert items.shape == (40, 2, 3)
    assert METRIC.score(items, targets) == pytest.approx(jaccard_score(targets.ravel(), predicted, average="macro"))
    details = METRIC.details(outputs, targets)
    assert details["class_iou"] == pytest.approx(jaccard_score(targets.ravel(), predicted, average=None).tolist())
    assert details["worst_class_iou"] == min(details["class_iou"])
    assert details["pixel_accuracy"] == pytest.approx(accuracy_score(targets.ravel(), predicted))


def test_by_hand():
    targets = np.array([[[0, 0], [1, 1]], [[0, 0], [0, 0]]])
    predicted = np.array([[[0, 1], [1, 1]], [[0, 0], [0, 2]]])  # class 2 is nowhere in the targets
    outputs = np.eye(3)[predicted].transpose(0, 3, 1, 2)
    items = METRIC.item_scores(outputs, outputs, targets)
    assert items.tolist() == [[[1, 2, 0], [2, 3, 0]], [[3, 0, 0], [4, 0, 1]]]
    assert METRIC.score(items, targets) == pytest.approx((4 / 6 + 2 / 3) / 2)
    assert METRIC.chance(targets) == pytest.approx((6 / 8) / 2)


def test_chance_is_what_the_majority_class_everywhere_scores():
    outputs, targets = maps(30, 5)
    constant = np.zeros_like(outputs)
    constant[:, 0] = 1
    items = METRIC.item_scores(constant, constant, targets)
    assert METRIC.score(items, targets) == pytest.approx(METRIC.chance(targets))


def test_the_score_depends_neither_on_the_order_of_items_nor_on_names_of_classes():
    outputs, targets = maps(25, 6)
    order, names = np.random.default_rng(0).permutation(25), np.array([2, 0, 1])
    score = METRIC.score(METRIC.item_scores(outputs, outputs, targets), targets)
    shuffled = METRIC.item_scores(outputs[order], outputs, targets[order])
    renamed = METRIC.item_scores(outputs[:, np.argsort(names)], outputs, names[targets])
    assert METRIC.score(shuffled, targets[order]) == pytest.approx(score, abs=1e-12)
    assert METRIC.score(renamed, names[targets]) == pytest.approx(score, abs=1e-12)


def test_the_difference_mirrors_and_is_zero_for_the_same_file():
    (a, targets), (b, _) = maps(60, 7, 0.1), maps(60, 7, 0.3)
    items_a, items_b = (METRIC.item_scores(x, x, targets) for x in (a, b))
    delta, lo, hi = METRIC.difference(items_a, items_b, targets)
    assert 0 < lo < delta < hi
    assert delta == pytest.approx(METRIC.score(items_a, targets) - METRIC.score(items_b, targets))
    assert METRIC.difference(items_b, items_a, targets) == pytest.approx((-delta, -hi, -lo), abs=0.05 * (hi - lo))
    assert METRIC.difference(items_a, items_a, targets) == (0, 0, 0)


def test_the_interval_is_of_items_and_holds_the_truth():
    """Items are well or badly predicted as a whole: half of them with 5 % random pixels, half with 60 %."""
    random = np.random.default_rng(8)
    outputs, targets = (
        np.concatenate(parts) for parts in zip(*(maps(4000, seed, changed) for seed, changed in ((1, 0.05), (2, 0.6))))
    )
    everything = METRIC.item_scores(outputs, outputs, targets)
    truth, held = METRIC.score(everything, targets), 0
    for _ in range(200):
        picked = random.integers(0, len(targets), 60)
        lo, hi = METRIC.interval(everything[picked], targets[picked])
        held += lo <= truth <= hi
    assert 0.91 * 200 <= held <= 0.99 * 200
