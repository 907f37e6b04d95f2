"""Generated C on an emulated Cortex-M: flash, RAM, stack and instructions, exact and repeatable; no cycles, no milliseconds."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from edgebook.errors import Unsupported, pick
from edgebook.runtimes.c import host
from edgebook.runtimes.c.generate import write
from edgebook.runtimes.c.graph import read
from edgebook.runtimes.c.host import WARNINGS
from edgebook.runtimes.c.lower import lower
from edgebook.runtimes.c.steps import Network

PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "arm-none-eabi-size": "binutils-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
}
GCC = ("arm-none-eabi-gcc", "-O2", "-mthumb", "-ffunction-sections", "-fdata-sections")
HARNESS = ("-ffreestanding", "-fno-tree-loop-distribute-patterns")  # it calls no function of the library itself
LINK = ("-nostartfiles", "-T", "link.ld", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments")
QEMU = ("qemu-system-arm", "-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=6")
SEMIHOSTING = ("-semihosting-config", "enable=on,target=native")
AMPLE = {"flash_bytes": 1 << 26, "ram_bytes": 1 << 26}
TIMEOUT_S = 120
STACK_BYTES = 1024  # kept free beside the arena, the input and the output


@dataclass(frozen=True)
class Core:
    """A core, the compiler's options for it, and the machine that QEMU emulates it in: where its memory begins and its bytes."""

    machine: str
    flags: tuple[str, ...]
    flash_origin: int
    flash_bytes: int
    ram_origin: int
    ram_bytes: int


@dataclass(frozen=True)
class Measured:
    """What one core takes for one network, and its outputs (n, size)."""

    core: str
    flash_bytes: int  # code, weights and the library functions that they call
    ram_bytes: int  # the arena; the caller holds input and output
    stack_bytes: int  # the deepest stack of one call
    instructions: float  # per call, mean over the items
    outputs: np.ndarray


def columns(measured: Measured) -> dict[str, Any]:
    """What a row says of it."""
    return {field.name: getattr(measured, field.name) for field in fields(measured) if field.name != "outputs"}


def missing() -> str | None:
    """Why nothing can be emulated here, or None."""
    absent = [
        f"{tool} is not installed (Debian package {package})" for tool, package in PACKAGES.items() if not shutil.which(tool)
    ]
    if not absent and not _has_newlib():
        absent = ["newlib is not installed (Debian package libnewlib-arm-none-eabi)"]
    return "; ".join(absent) or None


def _has_newlib() -> bool:
    """Whether the compiler finds a C library for Arm: it answers with a path where it does."""
    asked = subprocess.run(["arm-none-eabi-gcc", "-print-file-name=libc.a"], capture_output=True, text=True)
    return Path(asked.stdout.strip()).is_absolute()


def measure(path: Path, items: np.ndarray, *, core: str, profile: str = "single", n_steps: int = 1) -> Measured:
    """One static int8 .tflite on one core, over int8 items (n, input size); steps of a recurrent network are items, and its
    state begins anew every `n_steps`.

    Raises Unsupported when the tools are absent or the core has too little flash or RAM, by how many bytes; RuntimeError when
    an output differs from this machine's, or the compiler or the emulator fails.
    """
    if reason := missing():
        raise Unsupported(f"{core}: {reason}")
    network = lower(read(path))
    source = write(network, profile=profile)
    items = np.ascontiguousarray(items, np.int8).reshape(-1, network.n_input)
    measured = emulate(source, network, items, core=core, n_steps=n_steps)
    compiled, n = host.load(path, profile=profile), n_steps if network.n_state else len(items)
    wanted = np.concatenate([compiled.run(items[i : i + n]) for i in range(0, len(items), n)])
    if not np.array_equal(measured.outputs, wanted):
        row = int(np.flatnonzero((measured.outputs != wanted).any(1))[0])
        raise RuntimeError(f"{core}: item {row}: outputs {measured.outputs[row]} differ from this machine's {wanted[row]}")
    return measured


def emulate(source: str, network: Network, items: np.ndarray, *, core: str, n_steps: int = 1) -> Measured:
    """See `measure`; outputs are not compared."""
    chosen = pick(CORES, core, "core")
    with tempfile.TemporaryDirectory(prefix="edgebook-core-") as name:
        folder = Path(name)
        (folder / "model.c").write_text(source)
        (folder / "items").write_bytes(items.tobytes())
        sizes = {"INPUT_SIZE": network.n_input, "OUTPUT_SIZE": network.n_output, "STATE_SIZE": network.n_state, "STEPS": n_steps}
        flash, ram = _build(folder, chosen, core, sizes)
        command = [*QEMU, *SEMIHOSTING, "-M", chosen.machine, "-kernel", "firmware.elf"]
        try:
            ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{core}: the emulation did not end in {TIMEOUT_S} s") from None
        if ended.returncode:
            raise RuntimeError(f"{core}: the emulation failed: {(ended.stderr.strip().splitlines() or ['no message'])[-1]}")
        data = (folder / "results").read_bytes()
    return _results(data, core, flash, ram, network.n_output)


def _build(folder: Path, chosen: Core, core: str, sizes: dict[str, int]) -> tuple[int, int]:
    """firmware.elf in the folder; the model's flash and RAM."""
    files = resources.files("edgebook.boards") / "cores"
    (folder / "harness.c").write_text((files / "harness.c").read_text())
    defined = [f"-D{name}={value}" for name, value in sizes.items()]
    _run(folder, [*GCC, *chosen.flags, *WARNINGS, "-c", "model.c"])
    _run(folder, [*GCC, *chosen.flags, *HARNESS, *defined, "-c", "harness.c"])
    script = Template((files / "link.ld").read_text())
    _link(folder, script.substitute(vars(chosen) | AMPLE), chosen)
    flash, ram = _section_sizes(folder)
    with_caller = ram + sizes["INPUT_SIZE"] + sizes["OUTPUT_SIZE"] + sizes["STATE_SIZE"] + STACK_BYTES
    for name, needed, offered in (("flash", flash, chosen.flash_bytes), ("RAM", with_caller, chosen.ram_bytes)):
        if needed > offered:
            raise Unsupported(f"{core}: {needed:,} bytes of {name} are needed, {needed - offered:,} more than its {offered:,}")
    _link(folder, script.substitute(vars(chosen)), chosen)
    return flash, ram


def _link(folder: Path, script: str, chosen: Core) -> None:
    (folder / "link.ld").write_text(script)
    _run(folder, [*GCC, *chosen.flags, *LINK, "harness.o", "model.o", "-o", "firmware.elf"])


def _run(folder: Path, command: list[str]) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise RuntimeError(f"{command[0]}: {lines[0][:300] if lines else 'failed without a message'}")
    return done.stdout


def _section_sizes(folder: Path) -> tuple[int, int]:
    """Flash and RAM of the model in firmware.elf: .text and .data, .data and .bss."""
    listed = _run(folder, ["arm-none-eabi-size", "-A", "firmware.elf"])
    sizes = {name: int(size) for name, size in re.findall(r"^(\.\w+)\s+(\d+)", listed, re.MULTILINE)}
    return sizes[".text"] + sizes[".data"], sizes[".data"] + sizes[".bss"]


def _results(data: bytes, core: str, flash: int, ram: int, n_output: int) -> Measured:
    """Ticks of 200,000 instructions, the stack's depth, then ticks and outputs of every item."""
    calibration, depth = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:12], "little")
    rows = np.frombuffer(data[12:], np.dtype([("ticks", "<u8"), ("output", np.int8, (n_output,))]))
    instructions = float(rows["ticks"].mean()) * 200_000 / calibration
    return Measured(core, flash, ram, depth, instructions, rows["output"].copy())


CORES = {
    "m0": Core("microbit", ("-mcpu=cortex-m0",), 0x0, 1 << 18, 0x20000000, 1 << 14),
    "m3": Core("mps2-an385", ("-mcpu=cortex-m3",), 0x0, 1 << 22, 0x20000000, 1 << 22),
    "m4": Core("mps2-an386", ("-mcpu=cortex-m4",), 0x0, 1 << 22, 0x20000000, 1 << 22),
    "m7": Core("mps2-an500", ("-mcpu=cortex-m7",), 0x0, 1 << 22, 0x20000000, 1 << 22),
    "m33": Core("mps2-an505", ("-mcpu=cortex-m33",), 0x10000000, 1 << 22, 0x38000000, 1 << 22),
    "m55": Core("mps3-an547", ("-mcpu=cortex-m55", "-mfloat-abi=hard"), 0x0, 1 << 19, 0x20000000, 1 << 19),
}
