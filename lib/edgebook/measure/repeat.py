"""Whether a file can be believed: asked again it gives the same outputs, and its kernels compute what the file says.

Rounding may cost a network its score, and then its row shows that score. What is refused here is another thing: outputs that
depend on chance or on the call before, and optimized kernels that compute something else than the plain ones for the file.
"""

from __future__ import annotations

import numpy as np

from edgebook.boards.worker import Worker
from edgebook.measure.measured import Measured
from edgebook.measure.scoring import Inputs, channels_first, fed, save, work
from edgebook.runtimes.base import runtime
from edgebook.same_outputs import N_ITEMS, UNRELATED, relative_error, why_changed
from edgebook.vocabulary import precision

PLAIN_MACS = 4e9  # multiply-accumulates that plain kernels are given, about two seconds
AGAIN = 4  # times as many items are asked for again
DYNAMIC = "plain kernels round dynamic activations in another way"


def ask_again(worker: Worker, result: Measured, inputs: Inputs, name: str) -> None:
    """Raises ValueError when the first items of the first split get other outputs than before."""
    for split in list(result.outputs)[:1]:
        before = result.outputs[split][: AGAIN * _n_items(result)]
        again = _outputs(worker, result, inputs, f"{name}.again", inputs.splits[split][result.items[split][: len(before)]])
        if reason := why_changed(before, again):
            raise ValueError(f"asked twice for the same items, the file gives different outputs: {reason}")


def compare_kernels(worker: Worker, result: Measured, inputs: Inputs, name: str) -> Worker:
    """Fill in `kernel_error`, where the runtime has plain kernels; the worker to go on with, a new one where they crashed.

    Raises ValueError when the two have little in common.
    """
    if not runtime(result.artifact.runtime).has_plain_kernels or not result.outputs:
        return worker
    if precision(result.artifact.precision or result.inspected.get("format") or "fp32").arithmetic == "dynamic":
        result.not_compared = DYNAMIC
        return worker
    split = next(iter(result.outputs))
    n = _n_items(result)
    fast, x = result.outputs[split][:n], inputs.splits[split][result.items[split][:n]]
    try:
        plain = _outputs(worker, result, inputs, f"{name}.plain", x, do="plain")
    except _NotThere as error:
        result.not_compared = str(error)
        return worker
    except RuntimeError as error:  # the process died
        result.not_compared = str(error)
        worker = worker.again()
        worker.ask()
        return worker
    result.kernel_error = relative_error(fast, plain)
    if result.kernel_error > UNRELATED:
        reason = f"{why_changed(plain, fast, tolerance=0)} on {n} items"
        raise ValueError(f"the runtime's optimized kernels compute something else than its plain ones: {reason}")
    return worker


class _NotThere(Exception):
    """Plain kernels that lack an operator of the file."""


def _n_items(result: Measured) -> int:
    """How many items plain kernels compute: by the work of one item, never by a time that was measured."""
    return int(np.clip(PLAIN_MACS / max(work(result.artifact, result.inspected), 1), 4, N_ITEMS))


def _outputs(worker: Worker, result: Measured, inputs: Inputs, name: str, x: np.ndarray, do: str = "score") -> np.ndarray:
    """Outputs of the file for x (n, ...), written and read under `name`."""
    source, target = save(inputs.folder / f"{name}.x.npy", fed(x, result)), inputs.folder / f"{name}.npy"
    answer = worker.ask(do=do, x=str(source), y=str(target))
    if answer.get("error"):
        raise _NotThere(answer["error"])
    return channels_first(np.load(target), result)
