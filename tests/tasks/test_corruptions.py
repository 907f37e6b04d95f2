import numpy as np
import pytest

from edgebook.errors import BadInput
from edgebook.tasks.corruptions import CORRUPTIONS, SEVERITIES, corrupt

ITEMS = {"signals": (40, 1, 40), "images": (20, 2, 8, 10)}


@pytest.fixture(params=ITEMS.values(), ids=list(ITEMS))
def items(request):
    steps = np.random.default_rng(0).standard_normal(request.param).astype(np.float32)
    return steps.cumsum(-1)  # neighbours are alike, as in signals and images


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severity_0_changes_nothing_and_the_others_more_and_more(items, name):
    before = items.copy()
    assert np.array_equal(corrupt(items, name, 0), items)
    changes = [np.abs(corrupt(items, name, severity) - items).mean() for severity in SEVERITIES]
    assert changes[-1] > changes[0] > 0
    assert np.array_equal(items, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_seed_gives_the_same_items(items, name):
    first = corrupt(items, name, 3, seed=1)
    assert first.dtype == np.float32
    assert first.shape == items.shape
    assert np.array_equal(first, corrupt(items, name, 3, seed=1))
    is_random = name in ("noise", "dropout", "shift")
    assert is_random != np.array_equal(first, corrupt(items, name, 3, seed=2))


def test_a_shift_only_moves_and_a_dropout_leaves_the_rest(items):
    moved = corrupt(items, "shift", 5)
    assert np.array_equal(np.sort(moved, axis=-1), np.sort(items, axis=-1))
    dropped = corrupt(items, "dropout", 5) != items
    assert dropped.mean() == pytest.approx(0.4)
    assert (corrupt(items, "dropout", 1) != items).any(-1).all()


@pytest.mark.parametrize("name", ["blur", "dropout", "shift"])
def test_what_a_vector_cannot_have_is_refused_by_name(name):
    with pytest.raises(BadInput, match=rf"corruption {name}: items of shape \(10,\).*allowed: noise, brightness"):
        corrupt(np.zeros((3, 10), np.float32), name, 1)


@pytest.mark.parametrize("severity", [-1, 6, 2.5])
def test_severities_are_0_to_5(severity):
    with pytest.raises(BadInput, match="allowed: 0 to 5"):
        corrupt(np.zeros((3, 1, 10), np.float32), "noise", severity)
