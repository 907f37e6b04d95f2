"""Generated C on an emulated Cortex-M: flash, RAM, stack and instructions, exact and repeatable; no cycles, no milliseconds."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from edgebook.errors import Unsupported
from edgebook.files import scratch
from edgebook.registry import pick
from edgebook.runtimes.c import host
from edgebook.runtimes.c.ends import Ends, parse
from edgebook.runtimes.c.host import WARNINGS

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
STACK_BYTES = 1024  # kept free beside the arena and what the harness holds: the input, the output and the state


@dataclass(frozen=True)
class Machine:
    """A machine of QEMU: where its memory begins and its bytes."""

    name: str
    flash_origin: int
    flash_bytes: int
    ram_origin: int
    ram_bytes: int


@dataclass(frozen=True)
class Core:
    """A core: the compiler's options for it, and the machines that run its code; the first with room is taken."""

    flags: tuple[str, ...]
    machines: tuple[Machine, ...]


@dataclass(frozen=True)
class Measured:
    """What one core takes for one network, and its outputs (n, size)."""

    core: str
    flash_bytes: int  # code, weights and the library functions that they call
    ram_bytes: int  # the arena; the caller holds input and output
    stack_bytes: int  # the deepest stack of one call
    instructions: int  # per call, mean over the items
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


def measure(source: str, items: np.ndarray, *, core: str, n_steps: int = 1) -> Measured:
    """A generated C file on one core, over int8 items (n, input size); steps of a recurrent network are items, and its state
    begins anew every `n_steps`.

    Raises Unsupported when the tools are absent (code `library`), or the core's machines have too little flash or RAM, by how
    many bytes (`memory`); RuntimeError when an output differs from this machine's, or the compiler or the emulator fails.
    """
    if reason := missing():
        raise Unsupported(f"{core}: {reason}", code="library")
    compiled = host.compiled(source)
    items = np.ascontiguousarray(items, np.int8).reshape(-1, compiled.ends.n_input)
    measured = emulate(source, items, core=core, n_steps=n_steps)
    n = n_steps if compiled.ends.n_state else len(items)
    wanted = np.concatenate([compiled.run(items[i : i + n]) for i in range(0, len(items), n)])
    if not np.array_equal(measured.outputs, wanted):
        row = int(np.flatnonzero((measured.outputs != wanted).any(1))[0])
        raise RuntimeError(f"{core}: item {row}: outputs {measured.outputs[row]} differ from this machine's {wanted[row]}")
    return measured


def emulate(source: str, items: np.ndarray, *, core: str, n_steps: int = 1) -> Measured:
    """See `measure`; outputs are not compared."""
    chosen, ends = pick(CORES, core, "core"), parse(source)
    with scratch() as folder:
        (folder / "model.c").write_text(source, encoding="utf-8")
        (folder / "items").write_bytes(items.tobytes())
        machine, flash, ram = _build(folder, chosen, core, ends, n_steps)
        command = [*QEMU, *SEMIHOSTING, "-M", machine.name, "-kernel", "firmware.elf"]
        try:
            ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{core}: the emulation did not end in {TIMEOUT_S} s") from None
        if ended.returncode:
            raise RuntimeError(f"{core}: the emulation failed: {(ended.stderr.strip().splitlines() or ['no message'])[-1]}")
        data = (folder / "results").read_bytes()
    return _results(data, core, flash, ram, ends.n_output)


def _build(folder: Path, chosen: Core, core: str, ends: Ends, n_steps: int) -> tuple[Machine, int, int]:
    """firmware.elf in the folder, for the first machine with room; the model's flash and RAM."""
    files = resources.files("edgebook.boards") / "cores"
    (folder / "harness.c").write_text((files / "harness.c").read_text())
    sizes = {"INPUT_SIZE": ends.n_input, "OUTPUT_SIZE": ends.n_output, "STATE_SIZE": ends.n_state, "STEPS": n_steps}
    defined = [f"-D{name}={value}" for name, value in sizes.items()]
    _run(folder, [*GCC, *chosen.flags, *WARNINGS, "-c", "model.c"])
    _run(folder, [*GCC, *chosen.flags, *HARNESS, *defined, "-c", "harness.c"])
    script = Template((files / "link.ld").read_text())
    ample = vars(chosen.machines[0]) | AMPLE
    _link(folder, script.substitute(ample), chosen)
    sections = _sections(folder)
    text, data, bss, harness_ram = (sections[name] for name in (".text", ".data", ".bss", ".harness_ram"))
    flash_needed = text.end - ample["flash_origin"] + data.size  # with the harness before it
    ram_needed = harness_ram.end - ample["ram_origin"] + STACK_BYTES
    machine = _with_room(chosen, core, flash_needed, ram_needed)
    _link(folder, script.substitute(vars(machine)), chosen)
    return machine, text.size + data.size, data.size + bss.size


def _with_room(chosen: Core, core: str, flash: int, ram: int) -> Machine:
    """The first machine of a core that holds the model and what counts it. Raises Unsupported where the last one has no room."""
    for machine in chosen.machines:
        if flash <= machine.flash_bytes and ram <= machine.ram_bytes:
            return machine
    last = chosen.machines[-1]
    name, needed, offered = max(
        ("flash", flash, last.flash_bytes), ("RAM", ram, last.ram_bytes), key=lambda part: part[1] - part[2]
    )
    more = needed - offered
    raise Unsupported(f"{core}: {needed:,} bytes of {name} are needed, {more:,} more than its {offered:,}", code="memory")


def _link(folder: Path, script: str, chosen: Core) -> None:
    (folder / "link.ld").write_text(script)
    _run(folder, [*GCC, *chosen.flags, *LINK, "harness.o", "model.o", "-o", "firmware.elf"])


def _run(folder: Path, command: list[str]) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise RuntimeError(f"{command[0]}: {lines[0][:300] if lines else 'failed without a message'}")
    return done.stdout


@dataclass(frozen=True)
class _Section:
    size: int
    start: int

    @property
    def end(self) -> int:
        return self.start + self.size


def _sections(folder: Path) -> dict[str, _Section]:
    """The sections of firmware.elf by name."""
    listed = _run(folder, ["arm-none-eabi-size", "-A", "firmware.elf"])
    rows = re.findall(r"^(\.\w+)\s+(\d+)\s+(\d+)", listed, re.MULTILINE)
    return {name: _Section(int(size), int(start)) for name, size, start in rows}


def _results(data: bytes, core: str, flash: int, ram: int, n_output: int) -> Measured:
    """Ticks of 200,000 instructions, the stack's depth, then ticks and outputs of every item."""
    calibration, depth = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:12], "little")
    rows = np.frombuffer(data[12:], np.dtype([("ticks", "<u8"), ("output", np.int8, (n_output,))]))
    instructions = round(float(rows["ticks"].mean()) * 200_000 / calibration)
    return Measured(core, flash, ram, depth, instructions, rows["output"].copy())


MICROBIT = Machine("microbit", 0x0, 1 << 18, 0x20000000, 1 << 14)
MPS2_M3 = Machine("mps2-an385", 0x0, 1 << 22, 0x20000000, 1 << 22)
MPS2_M4 = Machine("mps2-an386", 0x0, 1 << 22, 0x20000000, 1 << 22)
MPS2_M7 = Machine("mps2-an500", 0x0, 1 << 22, 0x20000000, 1 << 22)
MPS2_M33 = Machine("mps2-an505", 0x10000000, 1 << 22, 0x38000000, 1 << 22)
MPS3_M55 = Machine("mps3-an547", 0x0, 1 << 19, 0x20000000, 1 << 19)

# a Cortex-M3 executes all instructions of a Cortex-M0, one by one the same
CORES: dict[str, Core] = {
    "cortex-m0": Core(("-mcpu=cortex-m0",), (MICROBIT, MPS2_M3)),
    "cortex-m3": Core(("-mcpu=cortex-m3",), (MPS2_M3,)),
    "cortex-m4": Core(("-mcpu=cortex-m4",), (MPS2_M4,)),
    "cortex-m7": Core(("-mcpu=cortex-m7",), (MPS2_M7,)),
    "cortex-m33": Core(("-mcpu=cortex-m33",), (MPS2_M33,)),
    "cortex-m55": Core(("-mcpu=cortex-m55", "-mfloat-abi=hard"), (MPS3_M55,)),
}
