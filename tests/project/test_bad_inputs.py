"""Wrong input of every kind, generated from a seed: one line and exit code 2; what is damaged is passed over and named."""

import bad_inputs
import pytest


@pytest.mark.parametrize("seed", range(1, 5))
def test_wrong_input_is_refused_in_one_line_and_damage_is_passed_over(seed):
    """A tenth of what benchmarks/bad_inputs.py does by default."""
    results = bad_inputs.run(count=25, seed=seed)
    assert len(results) == 25
    assert [result for result in results if result[2] != "ok"] == []
