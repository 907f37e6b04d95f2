"""Recurrent networks called step by step compute what they compute on a whole sequence."""

import pytest
import torch

from edgebook.errors import Unsupported
from edgebook.models import build_model, rebuild
from edgebook.models.streaming import stream
from edgebook.models.structure import describe


@pytest.mark.parametrize("input_shape", [(1, 40), (2, 5, 3)])
@pytest.mark.parametrize(("name", "n_layers", "states"), [("gru", 1, ["h0"]), ("lstm", 2, ["h0", "c0", "h1", "c1"])])
def test_steps_compute_what_the_whole_sequence_does(name, n_layers, states, input_shape):
    torch.manual_seed(0)
    net = build_model(name, input_shape, 10, hidden=8, directions=1, head="last", n_layers=n_layers).eval()
    x, steps = torch.randn(16, *input_shape), stream(net)
    assert steps.step.state_names == states
    with torch.inference_mode():
        torch.testing.assert_close(steps(x), net(x), rtol=1e-4, atol=1e-5)
    again = rebuild(steps.spec, describe(steps))
    again.load_state_dict(steps.state_dict())
    with torch.inference_mode():
        assert torch.equal(again(x), steps(x))


@pytest.mark.parametrize(("name", "shape"), [("gru", {}), ("gru", {"directions": 1}), ("lstm", {"head": "last"}), ("conv1d", {})])
def test_what_cannot_stream_is_unsupported(name, shape):
    with pytest.raises(Unsupported, match="directions=1 and head=last") as caught:
        stream(build_model(name, (1, 40), 10, **shape))
    assert caught.value.code == "structure"
