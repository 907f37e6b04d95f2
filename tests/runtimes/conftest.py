"""conv1d's files, made once, and their outputs."""

from __future__ import annotations

import pytest

from edgebook.runtimes.base import Quant, runtime
from edgebook.runtimes.export import export

INT8 = Quant("int8-static", n_calibration=32)


@pytest.fixture(scope="session")
def files(net, mnist1d, tmp_path_factory):
    """Artifacts by (runtime, precision)."""
    folder = tmp_path_factory.mktemp("files")
    settings = [(name, None) for name in ("onnx", "litert", "torch", "executorch")]
    settings += [(name, INT8) for name in ("litert", "tflm", "vela", "executorch")]
    made = [export(net, mnist1d, folder / f"{name}-{bool(quant)}", runtime=name, quant=quant) for name, quant in settings]
    return {(artifact.runtime, artifact.precision): artifact for artifact in made}


@pytest.fixture(scope="session")
def predict():
    """(artifact, items as a tensor) -> outputs of the file in its runtime."""
    return lambda artifact, x: runtime(artifact.runtime).side("load").load(artifact.path).predict(x.numpy())
