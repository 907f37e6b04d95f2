"""Quantization-aware training: the file is the network that was trained."""

from __future__ import annotations

import pytest
import torch

from edgebook.compress.quantize.qat import qat
from edgebook.errors import BadInput, Unsupported
from edgebook.models import build_model
from edgebook.models.fake_quantized import FakeQuantized
from edgebook.runtimes.base import runtime
from edgebook.runtimes.export import export
from edgebook.runtimes.quiet import quiet
from edgebook.tasks import load_task
from edgebook.training.loop import infer
from edgebook.training.recipe import Recipe
from edgebook.training.store import cached


def test_a_qat_file_is_the_network_that_was_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path / "store"))
    model = build_model("conv1d", (1, 40), 10, widths=(8, 8, 8))
    sequences = load_task("mnist1d")
    trained, loaded = (cached(qat, model, sequences, Recipe(3, lr=0.005)) for _ in range(2))
    assert isinstance(loaded, FakeQuantized)
    expected = infer(trained, sequences.x_test)
    assert torch.equal(expected, infer(loaded, sequences.x_test))
    for name in ("onnx", "litert", "executorch", "tflm"):
        artifact = export(loaded, sequences, tmp_path / name, runtime=name)
        with quiet():
            program = runtime(name).side("load").load(artifact.path, threads=1, shape=sequences.input_shape)
            outputs = program.predict(sequences.x_test.numpy()).reshape(len(expected), -1)
        assert artifact.precision == "int8-static"
        assert (outputs.argmax(1) == expected.numpy().argmax(1)).mean() >= 0.995
    with pytest.raises(Unsupported, match="packed"):
        export(loaded, sequences, tmp_path / "packed", runtime="packed")


def test_ranges_freeze_before_the_end_and_the_teacher_is_learned_from():
    sequences, recipe = load_task("mnist1d"), Recipe(1, 500)
    model = build_model("conv1d", (1, 40), 10, widths=(8, 8, 8))
    alone = qat(model, sequences, recipe)
    assert alone.frozen
    taught = qat(model, sequences, recipe, teacher=model, soft_weight=0.5)
    assert not torch.equal(infer(alone, sequences.x_val), infer(taught, sequences.x_val))
    with pytest.raises(BadInput, match=r"freeze_at = 1\.5; allowed: 0 to 1"):
        qat(model, sequences, recipe, freeze_at=1.5)
    with pytest.raises(BadInput, match=r"soft_weight = 0\.5 needs a teacher"):
        qat(model, sequences, recipe, soft_weight=0.5)
    with pytest.raises(Unsupported) as caught:
        qat(build_model("gru", (1, 40), 10), sequences, recipe)
    assert caught.value.code == "structure"
