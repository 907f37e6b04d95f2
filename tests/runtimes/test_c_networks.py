"""Whole networks in C: against XNNPACK and the reference kernels on every test item, and clean under the sanitizers."""

import re
import subprocess

import numpy as np
import pytest
import torch
from c_networks import compiled, litert, stored_items
from tflite_files import activation, network, options

from edgebook.errors import BadInput, Unsupported
from edgebook.models import build_model
from edgebook.models.streaming import stream
from edgebook.runtimes.base import Quant, runtime
from edgebook.runtimes.c import generate, host
from edgebook.runtimes.c.graph import read
from edgebook.runtimes.c.lower import lower
from edgebook.runtimes.export import export
from edgebook.training.loop import seed_all, train
from edgebook.training.recipe import Recipe

pytestmark = pytest.mark.skipif(bool(host.missing()), reason=str(host.missing()))


def tflite(model, task, folder, quant=None):
    quant = quant or Quant(n_calibration=64)
    return export(model, task, folder / "net", runtime="litert", quant=quant).path


def learned(name, task, epochs=3, **shape):
    seed_all(0)
    model = build_model(name, task.input_shape, task.n_outputs, **shape)
    return train(model, task, Recipe(epochs=epochs, batch_size=100, lr=0.01, device="cpu"))


NETS = {
    "conv1d": ("mnist1d", {}),
    "mlp": ("mnist1d", {"hidden": (40, 40), "shortcut": True}),
    "resnet8": ("digits", {"widths": (8, 16, 16)}),
    "ds_cnn": ("digits", {"width": 16, "n_blocks": 2}),
    "squeezenet": ("digits", {"width": 0.125}),
    "lightweight_cnn": ("digits", {"widths": (8, 8), "hidden": 16}),
}


@pytest.fixture(scope="module", params=sorted(NETS))
def shipped(request, tmp_path_factory, mnist1d, digits):
    """(a trained network's static int8 file, all its test items in int8)."""
    task_name, shape = NETS[request.param]
    task = {"mnist1d": mnist1d, "digits": digits}[task_name]
    path = tflite(learned(request.param, task, **shape), task, tmp_path_factory.mktemp(request.param))
    return path, stored_items(task.x_test, compiled(path).ends)


def test_every_test_item_has_xnnpacks_answer_within_a_step(shipped):
    path, items = shipped
    ours, theirs = compiled(path).run(items), litert(path, items)
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert np.array_equal(ours.argmax(1), theirs.argmax(1))


def test_every_test_item_equals_the_reference_kernels(shipped):
    path, items = shipped
    assert np.array_equal(compiled(path, "gemmlowp").run(items), litert(path, items, reference=True))


@pytest.mark.parametrize("precision", ["int4-static", "tensor"])
def test_other_weights_run_too(precision, net, mnist1d, tmp_path):
    quant = Quant(granularity="tensor", n_calibration=64) if precision == "tensor" else Quant(precision, n_calibration=64)
    path = tflite(net, mnist1d, tmp_path, quant)
    items = np.random.default_rng(0).integers(-128, 128, (50, 40)).astype(np.int8)
    assert np.array_equal(compiled(path, "gemmlowp").run(items), litert(path, items, reference=True))


@pytest.mark.parametrize(("kind", "n_layers"), [("gru", 1), ("lstm", 1), ("gru", 2)])
def test_a_recurrent_network_step_by_step_equals_litert(kind, n_layers, mnist1d, tmp_path):
    model = learned(kind, mnist1d, epochs=1, hidden=12, directions=1, head="last", n_layers=n_layers)
    path = tflite(stream(model), mnist1d, tmp_path, Quant(n_calibration=8))
    wanted = runtime("litert").side("load").load(path).predict(mnist1d.x_test[:20].numpy())
    (tmp_path / "net.c").write_text(generate.source(path))
    outputs = runtime("c").side("load").load(tmp_path / "net.c").predict(mnist1d.x_test[:20].numpy())
    np.testing.assert_allclose(outputs, wanted, atol=1e-6)


def test_a_state_of_another_scale_is_requantized_between_steps(net, mnist1d, tmp_path):
    """y = h = x + h, with a state that comes out at twice the scale that it goes in with."""
    tensors = [activation((1, 4), 0.02, 3), activation((1, 4), 0.02, 5), activation((1, 4), 0.04, -7)]
    operators = [("ADD", options("AddOptions"), [0, 1], [2])]
    (tmp_path / "sum.tflite").write_bytes(network(operators, [0, 1], [2], tensors))
    (tmp_path / "sum.json").write_text('{"steps": 3, "x": 0, "y": 0, "states": [{"name": "h", "input": 1, "output": 0}]}')
    outputs = compiled(tmp_path / "sum.tflite").run(np.full((3, 4), 13, np.int8))
    # real x = 0.2; sums 0.2, 0.4, 0.6 at 0.04 a step and zero point -7
    assert outputs[:, 0].tolist() == [-2, 3, 8]


MAIN = """
#include <stdint.h>
#include <stdio.h>
void predict(const int8_t *input, int8_t *output);
int main(void)
{
    static int8_t input[%d], output[%d];
    while (fread(input, 1, sizeof input, stdin) == sizeof input) {
        predict(input, output);
        fwrite(output, 1, sizeof output, stdout);
    }
    return 0;
}
"""


def sanitizers_missing(folder):
    """Why the sanitizers cannot be used here, or None."""
    (folder / "empty.c").write_text("int main(void) { return 0; }")
    command = ["cc", "-fsanitize=address,undefined", "empty.c", "-o", "empty"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return None if ended.returncode == 0 else f"cc has no address and undefined-behaviour sanitizer: {ended.stderr[:100]}"


@pytest.mark.parametrize("profile", ["single", "gemmlowp"])
def test_no_address_and_no_undefined_behaviour_error(shipped, profile, tmp_path):
    if reason := sanitizers_missing(tmp_path):
        pytest.skip(reason)
    path, items = shipped
    parts = lower(read(path))
    (tmp_path / "model.c").write_text(generate.write(parts, profile=profile))
    (tmp_path / "main.c").write_text(MAIN % (parts.ends.n_input, parts.ends.n_output))
    command = ["cc", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "model.c", "main.c", "-o", "run"]
    subprocess.run(command, cwd=tmp_path, check=True)
    ended = subprocess.run(["./run"], cwd=tmp_path, input=items[:20].tobytes(), capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode()[:1000]
    assert np.array_equal(np.frombuffer(ended.stdout, np.int8).reshape(20, -1), compiled(path, profile).run(items[:20]))


def test_the_file_needs_no_library_but_string(shipped):
    source = generate.source(shipped[0])
    assert set(re.findall(r"#include <(\w+)\.h>", source)) == {"stddef", "stdint", "string", "arm_mve"}
    assert not re.search(r"\b(malloc|calloc|free|printf|float|double)\b", re.sub(r"/\*.*?\*/", "", source, flags=re.S))


def test_what_c_cannot_run_is_named_in_one_line(net, mnist1d, tmp_path):
    with pytest.raises(Unsupported, match=r"c runs static int8 files, RESHAPE here is int16x8; litert runs it"):
        generate.source(tflite(net, mnist1d, tmp_path, Quant("int16x8", n_calibration=8)))
    with pytest.raises(Unsupported, match="here is fp32; litert runs it"):
        generate.source(export(net, mnist1d, tmp_path / "float", runtime="litert").path)
    tensors = [activation((1, 4), 0.02, 3), activation((1, 4), 1 / 256, -128)]
    (tmp_path / "soft.tflite").write_bytes(
        network([("SOFTMAX", options("SoftmaxOptions", beta=1.0), [0], [1])], [0], [1], tensors)
    )
    with pytest.raises(Unsupported, match="c has no kernel for SOFTMAX; litert runs it, c has ADD, "):
        generate.source(tmp_path / "soft.tflite")


def test_files_that_cannot_be_used_are_one_clear_line(net, mnist1d, tmp_path):
    (tmp_path / "text.tflite").write_text("not a model")
    with pytest.raises(BadInput, match=r"text\.tflite: is not a \.tflite file"):
        generate.source(tmp_path / "text.tflite")
    whole = tflite(net, mnist1d, tmp_path)
    (tmp_path / "cut.tflite").write_bytes(whole.read_bytes()[:300])
    with pytest.raises(BadInput, match=r"cut\.tflite: cannot be read"):
        generate.source(tmp_path / "cut.tflite")
    with pytest.raises(BadInput, match="profile = 'double'; allowed: single, gemmlowp"):
        generate.source(whole, profile="double")


def test_without_a_compiler_there_is_a_reason(net, mnist1d, tmp_path, monkeypatch):
    path = tflite(net, mnist1d, tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unsupported, match="c: no C compiler: cc is not on the path"):
        compiled(path)


def test_the_same_file_gives_the_same_source(net, mnist1d, tmp_path):
    path = tflite(net, mnist1d, tmp_path)
    assert generate.source(path) == generate.source(path)
    assert torch.get_num_threads() == 1
