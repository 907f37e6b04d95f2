"""Network -> file that ships, for every runtime; the store keeps each file, so that nothing is converted twice."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from edgebook import lock
from edgebook.errors import BadInput, Unsupported, one_line
from edgebook.models import fake_quantized
from edgebook.models.fake_quantized import FakeQuantized
from edgebook.models.macs import count_macs
from edgebook.models.streaming import Streaming
from edgebook.rows import join
from edgebook.runtimes.base import RUNTIMES, Artifact, Quant, Runtime, check, versions
from edgebook.runtimes.base import runtime as record_of
from edgebook.runtimes.calibration import calibration_items
from edgebook.runtimes.export_limit import limited
from edgebook.runtimes.exportable import exportable
from edgebook.runtimes.exporter_tables import kept_tables
from edgebook.runtimes.file_store import stored
from edgebook.runtimes.quiet import quiet
from edgebook.runtimes.random_operators import why_random
from edgebook.source_key import closure
from edgebook.tasks.task import Task
from edgebook.training.store import network_code
from edgebook.training.weights import weights_hash

N_COMPARED = 8  # items on which a finished file must give the outputs of the whole one
NO_OPERATOR = re.compile(r"(?:Lowering not found: |Operator torch\._ops\.|op=')((?:aten|prims)[.:]\w+)")
FROM_DATA = re.compile(r"but got FakeTensor|data-dependent")  # PyTorch's words for a size or a branch that an item decides


def export(
    model: nn.Module, task: Task, path: Path, *, runtime: str, quant: Quant | None = None, batch_size: int = 1
) -> Artifact:
    """The network as a file of `runtime` at `path` (its extension is set here), with the columns that are known then.

    Integer files come from the stored float file where the runtime quantizes files. batch_size: items per call; more than one
    for float files of runtimes that batch. Raises Unsupported with a code of `vocabulary.UNSUPPORTED`.
    """
    record = record_of(runtime)
    precision = quant.precision if quant else fake_quantized.PRECISION if isinstance(model, FakeQuantized) else "fp32"
    check(runtime, precision)
    _check_model(model, record, quant, batch_size)
    source, columns = _stored(model, task, record, quant, batch_size)
    target = Path(path).with_name(Path(path).name + record.extension)
    target.parent.mkdir(parents=True, exist_ok=True)
    for file in source.glob("model*"):
        shutil.copyfile(file, target.with_name(file.name.replace("model", Path(path).name, 1)))
    return Artifact(target, runtime, columns.get("precision", precision), columns)


def _check_model(model: nn.Module, record: Runtime, quant: Quant | None, batch_size: int) -> None:
    """Raises Unsupported for a network or a batch size that the runtime does not take."""
    if batch_size > 1 and (quant or not record.batches or isinstance(model, Streaming)):
        able = ", ".join(name for name, other in RUNTIMES.items() if other.batches)
        raise Unsupported(f"{record.name}: {batch_size} items per call are for float files of {able}", code="batch")
    if isinstance(model, Streaming) and not record.streams:
        able = ", ".join(name for name, other in RUNTIMES.items() if other.streams)
        reason = f"{record.name} takes whole sequences, not one step per call; {able} take steps"
        raise Unsupported(reason, code="structure")
    if quant and isinstance(model, FakeQuantized):
        raise Unsupported("a network that was trained quantized has its integers: no Quant is needed", code="structure")


def _key(model: nn.Module, task: Task, record: Runtime, quant: Quant | None, batch_size: int) -> str:
    """What decides a file: the code that makes it, the network, the data where they calibrate, library versions, settings."""
    parts = [
        closure(f"{record.folder}.export", __name__, *network_code(model), names=(record.name,)).digest,
        weights_hash(model),
        list(task.input_shape),
        versions(record.name),
        [asdict(quant), task.fingerprint] if quant else None,
        record.name,
        batch_size,
    ]
    if record.parent:
        parts.append(_key(model, task, record_of(record.parent), quant, batch_size))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def _stored(model: nn.Module, task: Task, record: Runtime, quant: Quant | None, batch_size: int) -> tuple[Path, dict[str, Any]]:
    """The stored file's folder and columns: `model.*` is what ships, `whole.*` what a finished file was made from."""

    def make(folder: Path) -> dict[str, Any]:
        source = _source(model, task, record, quant, batch_size)
        try:
            with lock.training(), limited(), quiet(), kept_tables():
                return _make(model, task, record, quant, batch_size, source, folder)
        except (BadInput, Unsupported):
            raise
        except Exception as error:  # whatever an exporter raises
            raise _reason(record, error) from error

    return stored(_key(model, task, record, quant, batch_size), make)


def _source(
    model: nn.Module, task: Task, record: Runtime, quant: Quant | None, batch_size: int
) -> tuple[Path, dict[str, Any]] | None:
    """Folder and columns of the stored file that this one is made from, None when it is made from the network."""
    if record.parent:
        return _stored(model, task, record_of(record.parent), quant, batch_size)
    if quant and record.quantizes == "file":
        return _stored(model, task, record, None, batch_size)
    return None


def _make(
    model: nn.Module,
    task: Task,
    record: Runtime,
    quant: Quant | None,
    batch_size: int,
    source: tuple[Path, dict[str, Any]] | None,
    folder: Path,
) -> dict[str, Any]:
    """The columns of the file, which is written into `folder` in the way that its runtime has."""
    side, extension = record.side("export"), record.extension
    path, whole = folder / f"model{extension}", folder / f"whole{extension}"
    columns: dict[str, Any] = {"macs": count_macs(model, task.input_shape)}
    if record.parent:
        parent, parent_columns = source
        parent_path = parent / f"model{record_of(record.parent).extension}"
        return join(columns, parent_columns, side.derive(parent_path, path, record.name))
    output = whole if record.finishes else path
    if source:
        columns = join(columns, source[1], side.quantize(source[0] / output.name, output, quant, calibration_items(task, quant)))
    else:
        network, known = exportable(model, task.x_train, folds=record.folds_batch_norm)
        columns = join(columns, known, _from_network(side, network, task, quant, output, batch_size))
    if reason := why_random(record, output):
        raise Unsupported(f"{record.name}: {reason}", code="fidelity")
    if record.finishes:  # which runs the file
        columns = join(columns, side.finish(whole, path, task.x_train[: max(N_COMPARED, batch_size)].numpy()))
    elif quant or isinstance(model, FakeQuantized):
        _check_loads(record, path)
    return columns


def _check_loads(record: Runtime, path: Path) -> None:
    """Raises Unsupported for an integer file that its own runtime refuses."""
    try:
        record.side("load").load(path)
    except BadInput as error:
        reason = one_line(error).removeprefix(f"{path}: ")
        raise Unsupported(f"{record.name} refuses its own integer file: {reason}", code="operator") from error


def _from_network(side: Any, network: nn.Module, task: Task, quant: Quant | None, path: Path, batch_size: int) -> dict[str, Any]:
    """The columns of a file that is made from the network itself."""
    if quant:
        return side.quantize(network, path, quant, calibration_items(task, quant))
    return side.convert(network, task.x_train[:batch_size], path)


def _reason(record: Runtime, error: Exception) -> Exception:
    """The exporter's failure in one line: the operator that it lacks, what the forward does, or the innermost cause."""
    if operator := NO_OPERATOR.search(str(error)):
        return Unsupported(f"{record.name} has no operator {operator[1]}", code="operator", operator=operator[1])
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if FROM_DATA.search(str(cause)):
        reason = f"a size or a branch in the forward depends on the item, which no file can hold ({one_line(cause)})"
        return Unsupported(f"{record.name}: {reason}", code="structure")
    return RuntimeError(f"{record.name}: {one_line(cause)}")
