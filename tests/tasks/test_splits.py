"""Splits: sizes, shares, order, the same items whatever the seed of the run."""

import pytest
import torch

from edgebook.tasks.splits import split_validation, stratified_mask
from edgebook.tasks.task import draw_items, spread_items


@pytest.mark.parametrize(("n", "fraction", "at_most", "expected"), [(100, 0.1, 5000, 10), (100, 0.1, 4, 4), (3, 0.1, 5000, 1)])
def test_split_validation_takes_what_it_should_and_keeps_the_order(n, fraction, at_most, expected):
    x, y = torch.arange(n).float().unsqueeze(1), torch.arange(n) % 5
    x_train, y_train, x_val, y_val = split_validation(x, y, fraction=fraction, at_most=at_most)
    assert len(x_val) == expected == len(y_val)
    assert sorted([*x_train.flatten().tolist(), *x_val.flatten().tolist()]) == list(range(n))
    assert x_train.flatten().tolist() == sorted(x_train.flatten().tolist())
    assert torch.equal(y_train, x_train.flatten().long() % 5)
    assert torch.equal(y_val, x_val.flatten().long() % 5)


def test_stratified_mask_is_balanced_and_random_only_by_its_seed():
    y = torch.tensor([0] * 90 + [1] * 10)
    mask = stratified_mask(y, 20)
    assert y[mask].bincount().tolist() == [18, 2]
    assert torch.equal(mask, stratified_mask(y, 20))
    assert not torch.equal(mask, stratified_mask(y, 20, seed=1))


def test_values_are_covered_from_the_smallest_to_the_largest():
    y = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)) ** 3  # long tails
    mask = stratified_mask(y, 100)
    assert int(mask.sum()) == 100
    ranks = y.flatten().argsort().argsort()[mask].sort().values
    assert (ranks.diff() == 10).all()  # one of every ten neighbours


def test_items_with_several_targets_are_split_by_their_mean():
    y = torch.zeros(100, 4, 4, dtype=torch.long)
    y[70:, 1:3, 1:3] = 1  # thirty items with an object
    mask = stratified_mask(y, 20)
    assert (int(mask[:70].sum()), int(mask[70:].sum())) == (14, 6)


def test_two_classes_and_one_item_of_a_class():
    y = torch.tensor([0] * 99 + [1])
    x_train, y_train, x_val, y_val = split_validation(torch.arange(100.0).unsqueeze(1), y, fraction=0.5)
    assert len(y_train) == len(y_val) == 50
    assert int(y_train.sum() + y_val.sum()) == 1
    assert not set(x_train.flatten().tolist()) & set(x_val.flatten().tolist())


def test_draws_are_random_without_repeats_and_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    items = draw_items(50, 20, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(set(items.tolist())) == 20
    assert items.tolist() != sorted(items.tolist())
    assert torch.equal(items, draw_items(50, 20, seed=3))
    assert not torch.equal(items, draw_items(50, 20, seed=4))
    assert sorted(draw_items(5, 20, seed=0).tolist()) == [0, 1, 2, 3, 4]


def test_spread_items_reach_both_ends():
    assert spread_items(101, 3).tolist() == [0, 50, 100]
    assert spread_items(4, 10).tolist() == [0, 1, 2, 3]
