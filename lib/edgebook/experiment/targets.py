"""Which files the versions of an execution ask for: one per runtime, number format, batch size and core."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from edgebook.devices import device
from edgebook.experiment.notebook import Notebook, Version
from edgebook.measure.cores import CORE
from edgebook.models.fake_quantized import FakeQuantized
from edgebook.runtimes.base import Quant, runtime


@dataclass(frozen=True)
class Target:
    """What is asked of one file."""

    version: Version
    runtime: str
    quant: Quant | None
    batch_size: int
    core: str | None = None  # of a microcontroller, for runtimes that run there

    @property
    def setting(self) -> tuple[str, int, str | None]:
        """What two files share that are compared with each other."""
        return self.runtime, self.batch_size, self.core

    @property
    def is_baseline(self) -> bool:
        return self.version.role == "baseline" and self.quant is None


def targets(nb: Notebook) -> list[Target]:
    """Every file that the versions ask for; the baseline goes to every runtime that any version goes to."""
    every = list(dict.fromkeys([*nb["runtimes"], *(name for made in nb.versions for name in made.runtimes or [])]))
    wanted = []
    for made in nb.versions:
        runtimes = every if made.role == "baseline" else made.runtimes or nb["runtimes"]
        quants = [None] if isinstance(made.network, FakeQuantized) else made.quants  # it brings its own integers
        batch_sizes = nb.params.get("batch_sizes", [1])
        for quant, name, size in product(quants, runtimes, batch_sizes):
            cores = _cores(nb) if runtime(name).on_cores else [None]
            wanted += [Target(made, name, _in_its_format(quant, name, made, nb), size, core) for core in cores]
    return wanted


def _cores(nb: Notebook) -> list[str]:
    """The cores that C files are counted on: those asked for, else that of the board asked for."""
    board = device(nb["board"]).core if "board" in nb.params else None
    return nb.params.get("cores", [board or CORE])


def _in_its_format(quant: Quant | None, name: str, made: Version, nb: Notebook) -> Quant | None:
    """The baseline's quant on a runtime without float files: its first number format, so that there is something to compare
    with."""
    precisions = runtime(name).precisions
    if quant is not None or made.role != "baseline" or "fp32" in precisions or len(made.quants) > 1:
        return quant
    return Quant(precisions[0], seed=nb["seed"])
