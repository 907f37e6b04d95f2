"""The result row: one file x runtime x device x threads x batch_size x seed. Its column names are a public contract."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

from edgebook.errors import BadInput
from edgebook.files import write_text
from edgebook.run_folder import rows_files
from edgebook.vocabulary import ROLES, STATUSES

Row = dict[str, Any]
SCHEMA = 4
OBJECTS = ("asked", "extra", "versions", "machine")
CASE = ("case", "task", "model")  # columns that rows share when they compare with each other; the last two are for people

COLUMNS: dict[str, str] = {
    # who
    "schema": "version of this table",
    "run": "name of the run, the folder under reports/",
    "notebook": "the notebook's stem",
    "execution": "notebook--task-model--s<seed>",
    "row_id": "this row, unique in a run",
    "point_id": "the same settings, any seed",
    "parent_id": "row of the file this one was made from",
    "baseline_id": "row this one is compared with",
    "task": "data set",
    "model": "architecture",
    "case": "identity of data and network (naming.case_id): only rows of one case compare with each other",
    "role": "baseline, version, control or reference (vocabulary.ROLES); only versions and the baseline ship",
    "family": "colour and legend (vocabulary.FAMILIES): baseline, prune, quantize, distill, scratch, ...",
    "method": "what was done, in order: prune-l2+int8-static",
    "label": "short name for people",
    "seed": "seed of training and of every random choice",
    # asked
    "asked": "the parameters of this point (object)",
    # quality
    "metric": "what score is (metrics.METRICS): accuracy, ...",
    "score": "test score of the exported file, higher is better",
    "score_lo": "lower end of its 95 % interval",
    "score_hi": "upper end",
    "val_score": "the same on validation: everything is chosen by it",
    "n_test": "test items scored",
    "chance": "test score of the best constant answer",
    "margin": "difference of scores that does not matter",
    "delta": "score minus the baseline's, on the same items",
    "delta_lo": "lower end of its 95 % paired interval",
    "delta_hi": "upper end",
    "verdict": "same (within the margin), better, worse or cannot tell; null for a baseline",
    "fidelity": "same answers as its own PyTorch model, share of items",
    "agreement": "same answers as the float baseline, share of items",
    # cost
    "n_params": "parameters of the PyTorch model",
    "macs": "multiply-accumulates of one item (1 MAC = 2 FLOPs)",
    "size_bytes": "everything the file needs to run, on disk; of C source the bytes of its constants",
    "size_zip_bytes": "the same, deflated",
    "size_packed_bytes": "weights bit-packed, storage only",
    "weight_bits": "bits per weight as the file stores them, mean",
    "arena_bytes": "working memory by the runtime's own plan",
    "rss_bytes": "peak memory of the process, less an empty one",
    "flash_bytes": "code and constants on a microcontroller's core",
    "ram_bytes": "working memory there; the caller holds input and output",
    "stack_bytes": "deepest stack of one call there",
    "instructions": "per call there, mean over fixed items; neither cycles nor time",
    "latency_ms_p50": "median of one call, one batch",
    "latency_ms_p90": "90th percentile",
    "latency_lo": "lower end of the median's 95 % bootstrap interval, ms",
    "latency_hi": "upper end, ms",
    "latency_ms_est": "estimated by a model of the hardware, not measured",
    "speedup": "baseline's latency in the same runtime / this latency, paired blocks",
    "speedup_lo": "lower end of its 95 % interval",
    "speedup_hi": "upper end",
    "speed_verdict": "same, faster, slower, cannot tell or unstable (margin 3 %)",
    "compression_ratio": "baseline's size in the same runtime / this size",
    # where
    "artifact": "path of the file, relative to the run's folder",
    "sha256": "of the file",
    "checkpoint": "store key of the PyTorch model",
    "samples": ".npz beside the rows: targets, predictions, item scores, block medians",
    "session": "measuring session: latencies compare inside one only",
    "runtime": "onnx, litert, torch, ...",
    "precision": "number format of the file: fp32, fp16, int8-dynamic, int8-static, ...",
    "device": "where it ran: host, a machine over SSH, or the accelerator or core that the file is compiled for",
    "core": "the microcontroller's core that flash, RAM, stack and instructions were counted on, by emulation",
    "threads": "runtime threads",
    "batch_size": "items a call",
    "n_repeats": "timed calls",
    "versions": "library versions (object)",
    "commit": "git commit of the workbook",
    "machine": "CPU, flags, governor, load (object)",
    # when
    "started_at": "UTC, ISO 8601",
    "duration_s": "seconds to make this point (train, export), measuring not counted",
    "status": "ok, failed (error says why), unsupported (by this target) or skipped (runtime absent)",
    "error": "one line",
    "extra": "anything else (object)",
}


TEXTS = (
    *("run", "notebook", "execution", "row_id", "point_id", "parent_id", "baseline_id", "task", "model", "case", "role"),
    *("family", "method", "label", "metric", "verdict", "speed_verdict", "artifact", "sha256", "checkpoint", "samples"),
    *("session", "runtime", "precision", "device", "core", "commit", "started_at", "status", "error"),
)
NUMBERS = COLUMNS.keys() - {*TEXTS, *OBJECTS}
EXTRA_NUMBERS = (
    *("val_delta", "val_delta_lo", "val_delta_hi", "n_val", "n_test_split", "macro_f1", "worst_class_accuracy", "mcnemar_p"),
    *("calibration_error", "portability", "int8_nodes", "int8_time", "n_nodes", "n_quantize", "disturbed"),
    *("clipped_inputs", "kernel_error", "unevenness"),
    *(f"{rate}_per_hour{end}" for rate in ("false_alarms", "misses") for end in ("", "_lo", "_hi")),
)
EXTRA_LISTS = ("flags", "class_accuracy", "slowest_layers")
EXTRA = {
    **dict.fromkeys(EXTRA_NUMBERS, int | float),
    **dict.fromkeys(EXTRA_LISTS, list),
    "unsupported": str,
    "reason": str,
    "peak_layer": dict,
    "over_ssh": bool,
}


def new_row(**values: Any) -> dict[str, Any]:
    """A row with every column: the given values, None elsewhere. Raises KeyError for a name that is no column."""
    unknown = values.keys() - COLUMNS.keys()
    if unknown:
        raise KeyError(f"no such column: {', '.join(sorted(unknown))}")
    return {**dict.fromkeys(COLUMNS), "schema": SCHEMA, "status": "ok", "asked": {}, "extra": {}, **values}


def join(*parts: dict[str, Any]) -> dict[str, Any]:
    """One dict of columns from parts (identity, file, figures, comparison): later parts win, and what they have in `asked` and
    `extra` is joined.
    """
    joined: dict[str, Any] = {}
    for part in parts:
        objects = {name: {**(joined.get(name) or {}), **part[name]} for name in ("asked", "extra") if part.get(name)}
        joined |= {name: value for name, value in part.items() if name not in ("asked", "extra")} | objects
    return joined


def build(*parts: dict[str, Any]) -> dict[str, Any]:
    """A whole row from such parts. Raises KeyError for a name that is no column."""
    return new_row(**join(*parts))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace the .jsonl at `path` atomically, one row a line."""
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def read_rows(path: Path) -> list[Row]:
    """The rows of a .jsonl file, or of a run's folder, as `read` gives them; what was left out becomes a warning.

    Raises BadInput when there are no rows to read.
    """
    rows, problems = read(path)
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    return rows


def read(path: Path) -> tuple[list[Row], list[str]]:
    """(rows, problems) of a .jsonl file, or of the executions of a run's folder that its run.json names (all, without one).

    A line that is no whole row is left out and becomes a problem, "file:line: reason". Raises BadInput without any file.
    """
    path = Path(path)
    files, problems = rows_files(path) if path.is_dir() else ([path], list[str]())
    if not files or not all(file.is_file() for file in files):
        raise BadInput(f"{path}: no rows here; `edgebook run params/quick.yaml` makes some")
    rows: dict[str, Row] = {}
    for file in files:
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            try:
                row = check_row(json.loads(line, parse_constant=_finite, parse_float=_finite))
                if row["row_id"] in rows:
                    raise ValueError(f"row_id {row['row_id']} was read before")
                rows[row["row_id"]] = row
            except (ValueError, OverflowError, RecursionError) as error:
                problems.append(f"{file.name}:{number}: {_reason(error)}; the line is left out")
    return list(rows.values()), problems


def check_row(row: Any) -> Row:
    """`row` itself. Raises ValueError that says what keeps it from being a row of this schema."""
    if not isinstance(row, dict):
        raise ValueError(f"{type(row).__name__} where a row (an object) is needed")
    if row.get("schema") != SCHEMA:
        raise ValueError(f"schema {row.get('schema')!r}, this version reads {SCHEMA}")
    if absent := COLUMNS.keys() - row.keys():
        raise ValueError(f"without {', '.join(sorted(absent))}")
    for name, value in row.items():
        if value is not None and not _allowed(name, value):
            raise ValueError(f"{name} = {value!r:.60}")
    for name, value in (row["extra"] or {}).items():
        if value is not None and not isinstance(value, EXTRA.get(name, object)):
            raise ValueError(f"extra.{name} = {value!r:.60}")
    json.dumps(row, ensure_ascii=False).encode()  # raises for half a surrogate pair, which no page can hold
    if not row["row_id"] or row["status"] not in STATUSES:
        raise ValueError(f"row_id = {row['row_id']!r}, status = {row['status']!r}")
    return row


def _allowed(name: str, value: Any) -> bool:
    if name in OBJECTS:
        return isinstance(value, dict)
    if name in NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, str) and (name != "role" or value in ROLES)


def _finite(text: str) -> float:
    if math.isfinite(value := float(text)):
        return value
    raise ValueError(f"{text} is no number of a row")


def _reason(error: Exception) -> str:
    return f"cannot be read ({type(error).__name__})" if not isinstance(error, ValueError) else " ".join(str(error).split())[:200]


def flatten(row: dict[str, Any]) -> dict[str, Any]:
    """The row for a CSV: objects become dotted columns, `asked.pruning_ratio`, `extra.threads`."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{key}": inner for key, inner in value.items()})
        elif name not in OBJECTS:
            flat[name] = value
    return flat
