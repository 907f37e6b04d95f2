"""Hypervolume against references, evaluations to a target, correlations with their intervals, budgets that cannot be met."""

import itertools

import numpy as np
import pytest
from scipy import stats

from edgebook.errors import BadInput
from edgebook.models.macs import count_params
from edgebook.models.searched import searched
from edgebook.search.audit import (
    compare_to_control,
    evaluations_to,
    front,
    hypervolume,
    hypervolume_curve,
    mean_interval,
    rank_correlation,
)
from edgebook.search.budget import check_reachable, smallest
from edgebook.search.history import Trial
from edgebook.search.space import Space

AIMS = {"score": "maximize", "size": "minimize"}


def trial(step, score, size, error=None):
    return Trial(step, {}, None, {} if error else {"score": score, "size": size}, error=error)


def by_inclusion_exclusion(points, reference):
    """The definition: the union of the boxes between each point and the reference."""
    volume = 0.0
    for k in range(1, len(points) + 1):
        for subset in itertools.combinations(points, k):
            volume += (-1) ** (k + 1) * np.prod(np.maximum(np.asarray(reference) - np.max(subset, axis=0), 0))
    return volume


def test_hypervolume_by_hand():
    assert hypervolume([[1, 3], [2, 1]], [4, 4]) == 3 * 1 + 2 * 3 - 2 * 1
    assert hypervolume([[1, 3], [2, 1], [3, 3], [5, 0]], [4, 4]) == 7  # a dominated point and one past the reference
    assert hypervolume(np.zeros((0, 2)), [1, 1]) == 0
    assert hypervolume([[5, 5]], [4, 4]) == 0


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_hypervolume_equals_the_definition(dimensions):
    rng = np.random.default_rng(dimensions)
    for n in (1, 2, 5, 9):
        points = rng.random((n, dimensions)) * 1.2
        assert hypervolume(points, np.ones(dimensions)) == pytest.approx(by_inclusion_exclusion(points, np.ones(dimensions)))


def test_curve_of_trials_in_their_own_units():
    trials = [trial(0, 0.5, 60), trial(1, 0.9, 30, error="no"), trial(2, 0.8, 80), trial(3, 0.4, 90), trial(4, 0.8, 20)]
    curve = hypervolume_curve(trials, AIMS, {"score": 0.0, "size": 100.0})
    assert curve == pytest.approx([0.5 * 40, 20, 20 + 0.3 * 20, 26, 0.8 * 80])
    assert [t.step for t in front(trials, AIMS)] == [4]
    assert [t.step for t in front(trials[:4], AIMS)] == [0, 2]
    with pytest.raises(BadInput, match="no reference for size"):
        hypervolume_curve(trials, AIMS, {"score": 0.0})


def test_front_takes_the_first_of_equals():
    assert [t.step for t in front([trial(0, 0.5, 10), trial(1, 0.5, 10), trial(2, 0.5, 11)], AIMS)] == [0]


def test_evaluations_to_a_target():
    assert evaluations_to([1, 2, 2, 5], 2) == 2
    assert evaluations_to([1, 2], 3) is None


def test_comparison_with_the_control_by_hand():
    controls = [[0, 0, 0, 4], [0, 0, 2, 2]]  # they end at 3 on average
    result = compare_to_control([[0, 3, 3, 3], [0, 0, 0, 2]], controls)
    assert result["target"] == 3
    assert result["share"] == (2 / 4 + 4 / 4) / 2
    assert (result["n_reached"], result["n_seeds"]) == (1, 2)
    assert result["control_share"] == 1.0
    half = stats.t.ppf(0.975, 1) * np.std([0.5, 1.0], ddof=1) / np.sqrt(2)
    assert [result["share_lo"], result["share_hi"]] == pytest.approx([0.75 - half, 0.75 + half])
    with pytest.raises(BadInput, match="at least 2"):
        compare_to_control([[1]], [[1]])


def test_mean_interval_of_equal_values_is_a_point():
    assert mean_interval([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("method", ["spearman", "kendall"])
def test_the_interval_of_a_rank_correlation_covers_it(method):
    rng = np.random.default_rng(0)
    rho = 0.6  # of the bivariate normal
    truth = 6 / np.pi * np.arcsin(rho / 2) if method == "spearman" else 2 / np.pi * np.arcsin(rho)
    covered = 0
    for _ in range(400):
        x = rng.standard_normal(25)
        y = rho * x + np.sqrt(1 - rho**2) * rng.standard_normal(25)
        result = rank_correlation(x, y, method=method)
        covered += result["lo"] <= truth <= result["hi"]
    assert 0.92 <= covered / 400 <= 0.985


def test_rank_correlation_knows_order_only():
    x = [1, 2, 3, 4, 5, 6]
    assert rank_correlation(x, np.exp(x))["r"] == pytest.approx(1)
    assert rank_correlation(x, [-v for v in x])["hi"] == pytest.approx(-1)
    for bad, more in (((x[:4], x[:4]), {}), ((x, [1] * 6), {}), ((x, x), {"method": "pearson"})):
        with pytest.raises(BadInput):
            rank_correlation(*bad, **more)


SPACE = Space((1, 16, 16), n_blocks=(1, 3))


def cost(genotype):
    return {"n_params": float(count_params(searched(SPACE.input_shape, 10, genotype=str(genotype))))}


def test_a_budget_that_a_member_meets():
    least = min(cost(genotype)["n_params"] for genotype in SPACE.small_members())
    assert cost(smallest(SPACE)[0])["n_params"] == least
    assert cost(check_reachable(SPACE, {"n_params": least}, cost))["n_params"] == least


def test_a_budget_that_no_member_meets_is_refused_with_the_limit_that_binds():
    least = min(cost(genotype)["n_params"] for genotype in SPACE.small_members())
    with pytest.raises(BadInput, match=f"n_params = {least:g} of 100 "):
        check_reachable(SPACE, {"n_params": 100}, cost)
    with pytest.raises(BadInput, match="limit n_params = None"):
        check_reachable(SPACE, {"n_params": None}, cost)
