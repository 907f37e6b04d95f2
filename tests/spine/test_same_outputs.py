"""What promises to change nothing is compared in one way."""

from __future__ import annotations

import numpy as np
import pytest

from edgebook.errors import Unsupported
from edgebook.same_outputs import UNRELATED, change, relative_error, require_same, why_changed

Y = np.array([[1.0, -2.0], [0.5, 0.25]], np.float32)


@pytest.mark.parametrize(
    ("after", "expected"),
    [(Y, 0.0), (Y + 0.002, 0.001), (-Y, 2.0), (Y[:1], np.inf), (np.full_like(Y, np.nan), np.inf), (Y * np.inf, np.inf)],
)
def test_a_change_is_a_share_of_the_largest_output(after, expected):
    assert change(Y, after) == pytest.approx(expected, rel=1e-3)


def test_outputs_that_change_are_refused_with_the_reason():
    require_same("fuse", Y, Y + 0.001)
    assert why_changed(Y, Y + 1e-6, tolerance=0) is not None
    assert why_changed(Y, Y.copy(), tolerance=0) is None
    assert why_changed(Y, Y[:1]) == "the outputs change from shape (2, 2) to (1, 2)"
    with pytest.raises(Unsupported, match=r"^fuse: the outputs change by up to 200\.0% of the largest: it is odd$") as caught:
        require_same("fuse", Y, -Y, hint="it is odd")
    assert caught.value.code == "fidelity"


def test_a_relative_error_tells_rounding_from_another_network():
    random = np.random.default_rng(0)
    expected, other = random.standard_normal((2, 500, 3))
    assert relative_error(expected, expected) == 0.0
    assert relative_error(expected + 0.02 * other, expected) < 0.03
    assert relative_error(other, expected) == pytest.approx(2**0.5, abs=0.1)
    assert relative_error(other[:1], expected) == np.inf
    constant = np.full((5, 2), 3.0)
    assert relative_error(constant + 0.01, constant) < UNRELATED  # a file that gives the same for all items compares too
