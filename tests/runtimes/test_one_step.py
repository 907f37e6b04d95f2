"""Recurrent files that hold one step: the caller carries the state."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgebook.errors import Unsupported
from edgebook.models import build_model
from edgebook.models.streaming import stream
from edgebook.runtimes import one_step
from edgebook.runtimes.base import Quant
from edgebook.runtimes.export import export
from edgebook.training.loop import infer, train
from edgebook.training.recipe import Recipe


def test_a_one_step_file_carries_its_state(mnist1d, tmp_path, predict):
    torch.manual_seed(0)
    net = build_model("lstm", (1, 40), 10, hidden=8, directions=1, head="last")
    net = train(net, mnist1d, Recipe(epochs=2, batch_size=100, device="cpu"))
    steps, x = stream(net), mnist1d.x_test[:100]
    eager = infer(net, x).numpy()
    plain = export(steps, mnist1d, tmp_path / "float", runtime="litert")
    assert predict(plain, x) == pytest.approx(eager, abs=1e-3)
    assert predict(plain, x.flip(0))[::-1] == pytest.approx(predict(plain, x))  # every item starts from a zero state
    int8 = export(steps, mnist1d, tmp_path / "int8", runtime="tflm", quant=Quant(n_calibration=32))
    assert np.abs(predict(int8, x) - eager).mean() < 0.1 * eager.std()
    assert [state["name"] for state in one_step.description(int8.path)["states"]] == ["h0", "c0"]
    for settings, code, says in [
        ({"runtime": "onnx"}, "structure", "litert, tflm, c, vela.* take steps"),
        ({"runtime": "litert", "quant": Quant(algorithm="mse")}, "algorithm", "minmax for one-step files"),
        ({"runtime": "litert", "batch_size": 2}, "batch", "2 items per call"),
    ]:
        with pytest.raises(Unsupported, match=says) as caught:
            export(steps, mnist1d, tmp_path / "x", **settings)
        assert caught.value.code == code


def test_steps_of_images_and_sequences():
    sequence, image = np.arange(12.0).reshape(2, 2, 3), np.arange(24.0).reshape(2, 1, 3, 4)
    assert one_step.to_steps(sequence).shape == (3, 2, 2)
    assert one_step.to_steps(sequence)[1, 0].tolist() == [1.0, 4.0]
    assert one_step.to_steps(image)[2, 1].tolist() == image[1, 0, 2].tolist()
