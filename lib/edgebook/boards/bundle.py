"""What a row ships: the file, its C source with an example, golden vectors, preprocessing, labels, a model card, hashes."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.boards.card import card
from edgebook.errors import BadInput
from edgebook.files import sha256
from edgebook.runtimes.base import Artifact
from edgebook.runtimes.c import generate, host
from edgebook.runtimes.c.load import integer_steps

FORMAT = 1
PER_LINE = 24  # numbers in a line of an array


@dataclass(frozen=True, eq=False)
class Golden:
    """Golden vectors: inputs (n, ...) and the outputs (n, ...) of the file in its own runtime, both float; how far the outputs
    of another runtime may be off."""

    inputs: np.ndarray
    outputs: np.ndarray
    tolerance: float


def bundle(
    folder: Path, file: Path, *, row: dict[str, Any], data: dict[str, Any], golden: Golden, source: str | None = None
) -> str:
    """Write a bundle to `folder`, which must not exist yet. Returns the SHA-256 of its manifest: with it `verify` notices a
    manifest that was exchanged too.

    file: what ships; what it needs beside it goes with it. row: the result row, for the card. data: "labels", "preprocess",
    "licence" and "source" of the task. source: the network as generated C; None where C has no kernel for it, and the example
    then holds the file as an array. Raises BadInput for a folder that exists, Unsupported without a C compiler.
    """
    if folder.exists():
        raise BadInput(f"{folder}: exists; a bundle needs a new folder")
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir(parents=True)
    try:
        shipped = _copy(file, row["runtime"], draft)
        _write_json(draft / "golden.json", vars(golden))
        _write_json(draft / "preprocess.json", data.get("preprocess", {}))
        _write_json(draft / "labels.json", list(data.get("labels", ())))
        (draft / "README.md").write_text(card(row, data), encoding="utf-8")
        if source is None:
            _write_array(draft, file.read_bytes())
        else:
            (draft / "model.c").write_text(source, encoding="utf-8")
            (draft / "golden.h").write_text(_golden_header(source, file, golden, data.get("labels", ())), encoding="utf-8")
        _write_example(draft, "main_array.c" if source is None else "main.c")
        digest = _write_manifest(draft, {"format": FORMAT, "file": shipped, "runtime": row["runtime"]})
        os.rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return digest


def _copy(file: Path, runtime: str, folder: Path) -> str:
    """The file as `model` with its extension, and what it needs beside it; its new name."""
    for part in Artifact(file, runtime, precision="").needed:
        shutil.copyfile(part, folder / f"model{part.name.removeprefix(file.stem)}")
    return f"model{file.suffix}"


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, allow_nan=False, default=np.ndarray.tolist) + "\n", encoding="utf-8")


def _write_example(folder: Path, main: str) -> None:
    example = resources.files("edgebook.boards") / "example"
    for name in ("host.c", "cortex_m.c", "link.ld", "Makefile"):
        (folder / name).write_text((example / name).read_text())
    (folder / "main.c").write_text((example / main).read_text())


def _golden_header(source: str, file: Path, golden: Golden, labels: Sequence[str]) -> str:
    """golden.h: the inputs as integers, the outputs that the C source gives for them on this machine, labels."""
    compiled = host.compiled(source)
    ends, steps = compiled.ends, integer_steps(golden.inputs, file, compiled.ends)
    outputs = np.stack([compiled.run(item)[-1] for item in steps])
    names = [str(label) for label in labels] if len(labels) == ends.n_output else [f"output {i}" for i in range(ends.n_output)]
    quoted = [json.dumps(name, ensure_ascii=False) for name in names]
    sizes = {"INPUT_SIZE": ends.n_input, "OUTPUT_SIZE": ends.n_output, "STATE_SIZE": ends.n_state}
    sizes |= {"N_VECTORS": len(steps), "N_STEPS": steps.shape[1]}
    lines = [
        "#include <stdint.h>",
        "",
        *(f"#define {name} {size}" for name, size in sizes.items()),
        *(f"{line};" for line in generate.signatures(ends)),
        f"static const int8_t golden_inputs[N_VECTORS][N_STEPS][INPUT_SIZE] = {_braces(steps)};",
        f"static const int8_t golden_outputs[N_VECTORS][OUTPUT_SIZE] = {_braces(outputs)};",
        f"static const char *const labels[OUTPUT_SIZE] = {{{', '.join(quoted)}}};",
    ]
    return "\n".join(lines) + "\n"


def _braces(values: np.ndarray) -> str:
    """A C initializer of an array of any number of dimensions."""
    if values.ndim > 1:
        return "{" + ",\n".join(_braces(part) for part in values) + "}"
    numbers = [str(value) for value in values.tolist()]
    return "{" + ",\n".join(", ".join(numbers[i : i + PER_LINE]) for i in range(0, len(numbers), PER_LINE)) + "}"


def _write_array(folder: Path, raw: bytes) -> None:
    """model.c and model.h: the bytes of the file and their FNV-1a checksum."""
    checksum = 2166136261
    for byte in raw:
        checksum = (checksum ^ byte) * 16777619 & 0xFFFFFFFF
    declared = "extern const unsigned char model[];\nextern const unsigned long model_size;\n"
    (folder / "model.h").write_text(f"{declared}#define MODEL_CHECKSUM {checksum}UL\n")
    array = f"const unsigned char model[{len(raw)}] = {_braces(np.frombuffer(raw, np.uint8))};"
    (folder / "model.c").write_text(f'#include "model.h"\n\n{array}\nconst unsigned long model_size = {len(raw)};\n')


def _write_manifest(folder: Path, head: dict[str, Any]) -> str:
    """manifest.json: the hash of every other file; its own hash."""
    hashes = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    _write_json(folder / "manifest.json", {**head, "files": hashes})
    return sha256(folder / "manifest.json")
