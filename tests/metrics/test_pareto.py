"""The front: by hand, by its definition, and what leaves it as it is."""

import math

import numpy as np
import pytest

from edgebook.metrics.pareto import pareto


def test_pareto_by_hand():
    points = np.array([[0.90, 10], [0.95, 20], [0.90, 12], [0.95, 20], [0.80, 5], [0.80, 6], [math.nan, 1]])
    front = pareto(points, (True, False))
    assert front.tolist() == [True, True, False, True, True, False, False]
    assert pareto(np.empty((0, 2)), (True, False)).tolist() == []
    with pytest.raises(ValueError, match=r"need \(n, 3\)"):
        pareto(points, (True, True, False))


def test_pareto_is_the_definition_and_ignores_order_and_monotone_scales():
    random = np.random.default_rng(13)
    points, maximise = random.integers(0, 6, (80, 3)).astype(float), (True, False, False)
    front = pareto(points, maximise)
    gains = points * [1, -1, -1]
    for i, p in enumerate(gains):
        assert front[i] == (not any(all(q >= p) and any(q > p) for q in gains))
    order = random.permutation(80)
    assert (pareto(points[order], maximise) == front[order]).all()
    assert (pareto(np.exp(points), maximise) == front).all()
    assert (pareto(-points, [not m for m in maximise]) == front).all()
