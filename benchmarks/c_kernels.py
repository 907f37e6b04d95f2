"""What the generated C takes on emulated Cortex-M: bytes of flash, RAM and stack, instructions.

    python benchmarks/c_kernels.py > c_kernels.md          # minutes; --ladder 3 trains nine small nets more

Instructions and bytes hardly depend on the weights (0.1 %), so all nets but those of the ladder have random ones. Needs
gcc-arm-none-eabi and qemu-system-arm.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from edgebook.boards import emulated
from edgebook.compress.quantize.codebook import codebook, finetune_levels
from edgebook.errors import Unsupported
from edgebook.metrics.intervals import wilson
from edgebook.models import build_model
from edgebook.models.batch_norm import fold
from edgebook.models.streaming import stream
from edgebook.runtimes import export
from edgebook.runtimes.base import Quant
from edgebook.runtimes.c import generate, host, sub_8_bit
from edgebook.runtimes.c.ends import Ends
from edgebook.runtimes.c.graph import read
from edgebook.runtimes.c.load import integer_steps
from edgebook.runtimes.c.lower import lower
from edgebook.runtimes.c.steps import Convolution, Depthwise, Network, Place
from edgebook.tasks import load_task
from edgebook.tasks.task import Task
from edgebook.training.loop import seed_all, train
from edgebook.training.recipe import Recipe

N_ITEMS = 2
GOALS = """
| goal | at most |
|---|---|
| resnet8 28x28 int8 on cortex-m4 | 2.2 instructions per MAC, 84,000 B flash, 41,000 B RAM |
| the same at 4 bits | 46,000 B flash, 1.2 times the instructions of int8; at 2 bits 27,000 B |
| conv1d on cortex-m0 | 8,300 B flash, 1,600 B RAM |
| one step of a GRU with 64 units on cortex-m4 | 20,000 B flash, 696 B RAM, 72,000 instructions |
| ds_cnn's depthwise layers on cortex-m4 | 3.0 instructions per MAC |
"""
HEADER = "| net | weight bits | core | flash B | RAM B | stack B | instructions | per MAC |\n|---|---|---|---|---|---|---|---|"
LADDER = {8: (40, 40, 40), 4: (60, 60, 60), 2: (88, 88, 88)}  # widths of conv1d that fill 16 kB of flash
RECIPE = Recipe(epochs=60, batch_size=100, lr=0.01, device="cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ladder", type=int, default=0, help="seeds of nets for 16 kB of flash with 8, 4 and 2 bits")
    options = parser.parse_args()
    if reason := emulated.missing():
        raise SystemExit(reason)
    torch.set_num_threads(1)
    print(GOALS)
    print(HEADER)
    images, sequences = load_task("fashion_mnist"), load_task("mnist1d")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        resnet8 = random_net("resnet8", images)
        for bits in (8, 4, 2, 1):
            report("resnet8 28x28", shipped(resnet8, images, folder / f"resnet8-{bits}", bits), images, emulated.CORES)
        for bits in (8, 4, 2):
            path = shipped(random_net("conv1d", sequences), sequences, folder / f"conv1d-{bits}", bits)
            report("conv1d", path, sequences, ("cortex-m0", "cortex-m4"))
        gru = random_net("gru", sequences, hidden=64, directions=1, head="last")
        report("one step of GRU-64", shipped(stream(gru), sequences, folder / "gru", 8), sequences, ("cortex-m0", "cortex-m4"))
        path = shipped(random_net("ds_cnn", images), images, folder / "ds_cnn", 8)
        report("ds_cnn 28x28", path, images, emulated.CORES)
        depthwise_only(path)
    if options.ladder:
        ladder(sequences, options.ladder)


def random_net(name: str, task: Task, **shape) -> torch.nn.Module:
    """A net with random weights whose batch norm has seen the data."""
    seed_all(0)
    net = build_model(name, task.input_shape, task.n_outputs, **shape)
    with torch.no_grad():
        for batch in task.x_train[:640].split(64):
            net.train()(batch)
    return fold(net.eval())


def shipped(net: torch.nn.Module, task: Task, path: Path, bits: int) -> Path:
    """The static int8 file; below 8 bits its weights come from a codebook and have one scale per layer."""
    if bits < 8:
        net = codebook(net, task, bits=bits)
    quant = Quant(n_calibration=64, granularity="channel" if bits == 8 else "tensor")
    return export.export(net, task, path, runtime="litert", quant=quant).path


def report(name: str, path: Path, task: Task, cores: Iterable[str]) -> None:
    """One line per core, over the first test items."""
    network = lower(read(path))
    steps = integer_steps(task.x_test[:N_ITEMS].numpy(), path, network.ends)
    bits = f"{sub_8_bit.weight_bits(network):.1f}"
    for core in cores:
        try:
            source = generate.write(network)
            m = emulated.measure(source, steps.reshape(-1, network.ends.n_input), core=core, n_steps=steps.shape[1])
        except Unsupported as error:
            print(f"| {name} | {bits} | {core} | {error} | | | | |", flush=True)
            continue
        sizes = f"{m.flash_bytes:,} | {m.ram_bytes:,} | {m.stack_bytes}"
        per_mac = m.instructions / macs(network)
        print(f"| {name} | {bits} | {core} | {sizes} | {m.instructions:,} | {per_mac:.2f} |", flush=True)


def macs(network: Network) -> int:
    """Multiply-accumulates of one call."""
    total = 0
    for step in network.steps:
        if isinstance(step, Convolution | Depthwise):
            per_pixel = step.weights.size if isinstance(step, Convolution) else len(step.weights) * step.weights.shape[1]
            total += step.window.out_height * step.window.out_width * per_pixel
    return total


def depthwise_only(path: Path) -> None:
    """Each depthwise layer as a network of its own."""
    whole, rng = lower(read(path)), np.random.default_rng(0)
    for index, step in enumerate(step for step in whole.steps if isinstance(step, Depthwise)):
        window = step.window
        n_in, n_out = window.height * window.width * window.channels, window.out_height * window.out_width * len(step.bias)
        step = replace(step, source=Place("input"), target=Place("output"))
        alone = Network((step,), {}, {}, Ends((n_in,), (n_out,), (1.0, 0), (1.0, 0)))
        items = rng.integers(-128, 128, (N_ITEMS, n_in)).astype(np.int8)
        for core in ("cortex-m3", "cortex-m4", "cortex-m55"):
            m = emulated.emulate(generate.write(alone), items, core=core)
            per_mac = f"{m.instructions / macs(alone):.2f}"
            print(f"| ds_cnn, depthwise {index + 1} alone | 8.0 | {core} | | | | {m.instructions:,} | {per_mac} |", flush=True)


def ladder(task: Task, n_seeds: int) -> None:
    """Nets for 16 kB of flash on cortex-m0, trained: accuracy on MNIST-1D's 1,000 test items with a 95 % interval."""
    print("\n| weight bits | widths | seed | accuracy % | flash B | RAM B | instructions |\n|---|---|---|---|---|---|---|")
    for bits, widths in LADDER.items():
        for seed in range(n_seeds):
            seed_all(seed)
            net = build_model("conv1d", task.input_shape, task.n_outputs, widths=widths)
            recipe = replace(RECIPE, seed=seed)
            net = train(net, task, replace(recipe, epochs=80 if bits == 8 else 60))  # as long as the others in all
            if bits < 8:
                few = {"bits": bits, "levels": "kmeans_channel"}
                net = finetune_levels(net, task, replace(recipe, epochs=20, lr=0.003), **few)
            with tempfile.TemporaryDirectory() as name:
                path = export.export(net, task, Path(name) / "net", runtime="litert", quant=Quant(n_calibration=64)).path
                print(ladder_line(path, task, widths, seed), flush=True)
    print("\nBitNetMCU, for comparison: MNIST at 16x16, 98.9 % in 3.2 kB of weights (chosen on the test set, seeds not stated).")


def ladder_line(path: Path, task: Task, widths: tuple[int, ...], seed: int) -> str:
    source, labels, network = generate.source(path), task.y_test.numpy(), lower(read(path))
    items = integer_steps(task.x_test.numpy(), path, network.ends)[:, 0]
    n_correct = int((host.compiled(source).run(items).argmax(1) == labels).sum())
    low, high = wilson(n_correct, len(labels))
    m = emulated.measure(source, items[:N_ITEMS], core="cortex-m0")
    accuracy = f"{100 * n_correct / len(labels):.1f} ({100 * low:.1f} to {100 * high:.1f})"
    bits = f"{sub_8_bit.weight_bits(network):.1f}"
    return f"| {bits} | {widths} | {seed} | {accuracy} | {m.flash_bytes:,} | {m.ram_bytes:,} | {m.instructions:,} |"


if __name__ == "__main__":
    main()
