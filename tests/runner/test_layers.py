"""Layers of parameters, for any values: the last layer that has a value wins, field by field in recipes; nothing else changes."""

from hypothesis import given
from hypothesis import strategies as st

from edgebook.parameters import PARAMS
from edgebook.runner.preset import merged

PLAIN = ("threads", "measure_s", "pruning_ratios", "model_shape")
FIELDS = st.dictionaries(st.sampled_from(["epochs", "lr", "optimizer"]), st.integers(), max_size=3)
LAYER = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.integers() for name in PLAIN},
        **{name: FIELDS for name in ("baseline_recipe", "finetune_recipe")},
    },
)


@given(st.lists(LAYER, min_size=1, max_size=5))
def test_the_last_layer_that_has_a_value_wins(layers):
    result = {}
    for layer in layers:
        result = merged(result, layer)
    assert result.keys() == {name for layer in layers for name in layer}
    for name, value in result.items():
        given_values = [layer[name] for layer in layers if name in layer]
        if PARAMS[name].merges:
            assert value == {field: last for each in given_values for field, last in each.items()}
        else:
            assert value == given_values[-1]


@given(LAYER)
def test_a_layer_over_itself_or_over_nothing_is_itself(layer):
    assert merged(layer, layer) == merged({}, layer) == merged(layer, {}) == layer


@given(LAYER, LAYER, LAYER)
def test_layers_can_be_joined_from_either_end(a, b, c):
    assert merged(merged(a, b), c) == merged(a, merged(b, c))
