"""Emulated Cortex-M: the same bytes as this machine, counts that repeat, clear reasons where a core has no room."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from c_networks import PADDINGS, out_size, random_items, weighted
from tflite_files import activation, network, options

from edgebook.boards import emulated
from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes.base import Quant
from edgebook.runtimes.c import generate, host, sub_8_bit
from edgebook.runtimes.c.graph import read
from edgebook.runtimes.c.lower import lower
from edgebook.runtimes.export import export

needs_tools = pytest.mark.skipif(bool(emulated.missing()), reason=str(emulated.missing()))
KERNELS = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55")  # the cores whose code differs; m7 and m33 compile what m4 does


@pytest.fixture(scope="module")
def shipped(net, mnist1d, tmp_path_factory):
    quant = Quant(n_calibration=64)
    return export(net, mnist1d, tmp_path_factory.mktemp("c") / "net", runtime="litert", quant=quant).path


def measure(path, items, **options):
    return emulated.measure(generate.source(path), items, **options)


@needs_tools
@pytest.mark.parametrize("core", sorted(emulated.CORES))
def test_every_core_gives_this_machines_bytes_and_the_same_count_twice(core, shipped):
    items = random_items(np.random.default_rng(0), 4, 40)
    first, second = (measure(shipped, items, core=core) for _ in range(2))
    assert np.array_equal(first.outputs, second.outputs)
    assert emulated.columns(first) == emulated.columns(second)
    assert set(emulated.columns(first)) == {"core", "flash_bytes", "ram_bytes", "stack_bytes", "instructions"}
    n_weights = sum(step.weights.size for step in lower(read(shipped)).steps if hasattr(step, "weights"))
    assert n_weights < first.flash_bytes < n_weights + 4096
    assert 19 * 25 <= first.ram_bytes < 2048  # the largest map and some patches
    assert 0 < first.stack_bytes < 1024


@needs_tools
def test_instructions_are_counted_to_a_few(tmp_path):
    """A sum of n bytes is a loop: every thousand bytes more take as many instructions more."""
    counts = []
    for n in (1000, 2000, 3000):
        tensors = [activation((1, n), 0.02, 3), activation((1, n), 0.04, 3)]
        (tmp_path / "sum.tflite").write_bytes(network([("ADD", options("AddOptions"), [0, 0], [1])], [0], [1], tensors))
        items = random_items(np.random.default_rng(0), 1, n)
        counts.append(measure(tmp_path / "sum.tflite", items, core="cortex-m3").instructions)
    assert abs((counts[2] - counts[1]) - (counts[1] - counts[0])) <= 8
    assert 6000 < counts[1] - counts[0] < 16000


def layer_file(folder, rng, kind, n_values):
    """A random layer with `n_values` values in its weights (0: any) and odd sizes."""
    h, w, c, out = (int(rng.integers(2, high)) for high in (9, 9, 30, 24))
    kernel, stride, padding = int(rng.integers(1, 4)), int(rng.integers(1, 3)), ["SAME", "VALID"][int(rng.integers(2))]
    if kind == "3x3":
        kernel, stride, padding = 3, 1, "SAME"
    oh, ow = (out_size(size, min(kernel, h, w), stride, padding) for size in (h, w))
    kernel = min(kernel, h, w)
    zero, low = (int(z) for z in rng.integers(-128, 128, 2))
    values = rng.choice(np.arange(-127, 128), n_values or 255, replace=False).astype(np.int8)
    strides = {"padding": PADDINGS[padding], "strideH": stride, "strideW": stride}
    if kind == "dense":
        case = ("FULLY_CONNECTED", "FullyConnectedOptions", (1, h * w * c), (out, h * w * c), 0, (1, out), {})
    elif kind == "convolution":
        case = ("CONV_2D", "Conv2DOptions", (1, h, w, c), (out, kernel, kernel, c), 0, (1, oh, ow, out), strides)
    else:
        shapes = (1, h, w, c), (1, kernel, kernel, c), 3, (1, oh, ow, c)
        case = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", *shapes, strides | {"depthMultiplier": 1})
    name, record, shape, weights, axis, result, fields = case
    drawn = values[rng.integers(0, len(values), weights)]
    path = folder / "layer.tflite"
    path.write_bytes(weighted(rng, name, record, (shape, 0.02, zero), drawn, axis, result, per_channel=True, low=low, **fields))
    return path


@needs_tools
@pytest.mark.parametrize("n_values", [0, 16, 4, 2])
@pytest.mark.parametrize("kind", ["convolution", "depthwise", "3x3", "dense"])
def test_random_layers_give_this_machines_bytes(kind, n_values, tmp_path, monkeypatch):
    monkeypatch.setattr(sub_8_bit, "CODE_BYTES", -(10**9))  # small layers are packed too
    rng = np.random.default_rng([n_values, len(kind)])
    for core in KERNELS:
        path = layer_file(tmp_path, rng, kind, n_values)
        measure(path, random_items(rng, 2, lower(read(path)).ends.n_input), core=core)  # raises where a byte differs


@needs_tools
@pytest.mark.parametrize("flags", ["-O0", "-Os", "-O3", "-O2 -fno-omit-frame-pointer -DPLAIN_C"])
def test_other_options_compile_without_a_warning(flags, tmp_path, monkeypatch):
    monkeypatch.setattr(sub_8_bit, "CODE_BYTES", -(10**9))
    for kind, n_values in (("convolution", 0), ("convolution", 2), ("3x3", 4), ("depthwise", 0), ("dense", 16)):
        path = layer_file(tmp_path, np.random.default_rng(0), kind, n_values)
        (tmp_path / "model.c").write_text(generate.source(path))
        for core in KERNELS:
            command = [*emulated.GCC, *emulated.CORES[core].flags, *host.WARNINGS, *flags.split(), "-c", "model.c"]
            ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
            assert not ended.stderr, f"{core}, {kind}, {n_values} values"


@needs_tools
def test_a_state_is_carried_from_step_to_step(tmp_path):
    """h = x + h, three steps a sequence."""
    tensors = [activation((1, 8), 0.02, 3), activation((1, 8), 0.02, 5), activation((1, 8), 0.02, 5)]
    (tmp_path / "sum.tflite").write_bytes(network([("ADD", options("AddOptions"), [0, 1], [2])], [0, 1], [2], tensors))
    (tmp_path / "sum.json").write_text('{"steps": 3, "x": 0, "y": 0, "states": [{"name": "h", "input": 1, "output": 0}]}')
    measured = measure(tmp_path / "sum.tflite", np.full((6, 8), 13, np.int8), core="cortex-m4", n_steps=3)
    assert measured.outputs[:, 0].tolist() == [15, 25, 35, 15, 25, 35]


@needs_tools
def test_fewer_bits_take_less_flash_and_the_same_answers(tmp_path):
    rng = np.random.default_rng(0)
    flash = []
    for n_values in (255, 16, 4, 2):
        values = np.linspace(-127, 127, n_values).astype(np.int8)[rng.integers(0, n_values, (60, 400))]
        fields = ("FULLY_CONNECTED", "FullyConnectedOptions", ((1, 400), 0.02, 5), values, 0, (1, 60))
        (tmp_path / "dense.tflite").write_bytes(weighted(rng, *fields, per_channel=True, low=0))
        flash.append(measure(tmp_path / "dense.tflite", random_items(rng, 2, 400), core="cortex-m4").flash_bytes)
    assert flash[0] > 24000
    assert [24000 - (flash[0] - flash[i]) for i in (1, 2, 3)] == pytest.approx([12000, 6000, 3000], abs=900)


def wide_sum(folder, side):
    """x + x over a map of side x side x 3."""
    tensors = [activation((1, side, side, 3), 0.02, 3), activation((1, side, side, 3), 0.02, 3)]
    (folder / "wide.tflite").write_bytes(network([("ADD", options("AddOptions"), [0, 0], [1])], [0], [1], tensors))
    return folder / "wide.tflite"


@needs_tools
def test_too_large_is_said_with_the_bytes_that_lack(tmp_path):
    items = random_items(np.random.default_rng(0), 1, 300 * 300 * 3)
    with pytest.raises(Unsupported, match=r"m55: 541,0\d\d bytes of RAM are needed, 16,7\d\d more than its 524,288") as raised:
        measure(wide_sum(tmp_path, 300), items, core="cortex-m55")
    assert raised.value.code == "memory"
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (260, 2100)).astype(np.int8)
    fields = ("FULLY_CONNECTED", "FullyConnectedOptions", ((1, 2100), 0.02, 5), weights, 0, (1, 260))
    (tmp_path / "heavy.tflite").write_bytes(weighted(rng, *fields, per_channel=True, low=0))
    with pytest.raises(Unsupported, match=r"m55: 54\d,\d\d\d bytes of flash are needed, 2\d,\d\d\d more than its 524,288"):
        measure(tmp_path / "heavy.tflite", random_items(rng, 1, 2100), core="cortex-m55")


@needs_tools
@pytest.mark.parametrize("memory", ["flash", "ram"])
def test_a_file_that_just_fits_runs_and_one_byte_less_is_too_little(shipped, memory, monkeypatch):
    """What counts takes room too: a machine that holds the model alone is passed over, or named with the bytes that lack."""
    items, core = random_items(np.random.default_rng(0), 1, 40), emulated.CORES["cortex-m4"]
    alone = getattr(measure(shipped, items, core="cortex-m4"), f"{memory}_bytes")

    def on_machine_with(n_bytes):
        machine = replace(core.machines[0], **{f"{memory}_bytes": n_bytes})
        monkeypatch.setitem(emulated.CORES, "cortex-m4", replace(core, machines=(machine,)))
        return measure(shipped, items, core="cortex-m4")

    with pytest.raises(Unsupported, match=f"bytes of {memory}".replace("ram", "RAM")) as raised:
        on_machine_with(alone)
    needed = int(str(raised.value).split()[1].replace(",", ""))
    assert alone < needed < alone + 3000
    assert getattr(on_machine_with(needed), f"{memory}_bytes") == alone
    with pytest.raises(Unsupported, match=" 1 more than its "):
        on_machine_with(needed - 1)


@needs_tools
def test_a_net_too_large_for_the_micro_bit_runs_in_a_larger_machine(tmp_path):
    items = random_items(np.random.default_rng(0), 1, 60 * 60 * 3)
    path = wide_sum(tmp_path, 60)
    assert 2 * items.size > emulated.MICROBIT.ram_bytes
    on_m0, on_m3 = (measure(path, items, core=core) for core in ("cortex-m0", "cortex-m3"))
    assert np.array_equal(on_m0.outputs, on_m3.outputs)
    assert on_m0.instructions > on_m3.instructions


@needs_tools
def test_the_machine_does_not_change_what_is_counted(shipped, monkeypatch):
    """A Cortex-M3 executes the code of a Cortex-M0 instruction by instruction."""
    items = random_items(np.random.default_rng(0), 2, 40)
    on_microbit = emulated.columns(measure(shipped, items, core="cortex-m0"))
    core = emulated.CORES["cortex-m0"]
    monkeypatch.setitem(emulated.CORES, "cortex-m0", emulated.Core(core.flags, core.machines[1:]))
    on_mps2 = emulated.columns(measure(shipped, items, core="cortex-m0"))
    assert on_mps2.pop("instructions") == pytest.approx(on_microbit.pop("instructions"), rel=1e-5)  # the clocks have other ticks
    assert on_mps2 == on_microbit


@needs_tools
def test_other_bytes_than_this_machines_are_an_error(shipped, monkeypatch):
    genuine, start = emulated.emulate, "layer3_bias[10] ALIGNED = {\n    "
    changed = lambda source, *a, **k: genuine(source.replace(start, f"{start}9999 + "), *a, **k)  # noqa: E731
    monkeypatch.setattr(emulated, "emulate", changed)
    with pytest.raises(RuntimeError, match=r"m4: item \d: outputs \[.*\] differ from this machine's"):
        measure(shipped, random_items(np.random.default_rng(0), 2, 40), core="cortex-m4")


def test_an_unknown_core_and_absent_tools_are_named(shipped, monkeypatch):
    items = random_items(np.random.default_rng(0), 1, 40)
    monkeypatch.setattr(emulated.shutil, "which", lambda tool: None if tool == "qemu-system-arm" else f"/usr/bin/{tool}")
    with pytest.raises(Unsupported, match=r"m4: qemu-system-arm is not installed \(Debian package qemu-system-arm\)"):
        measure(shipped, items, core="cortex-m4")
    monkeypatch.setattr(emulated, "missing", lambda: None)
    with pytest.raises(BadInput, match="core 'm99' is unknown; known: cortex-m0, cortex-m3, cortex-m33, "):
        measure(shipped, items, core="m99")
