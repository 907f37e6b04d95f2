"""What a row ships: the file, its C source with an example, golden vectors, preprocessing, labels, a model card, hashes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.boards.card import card
from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes.c import generate, host
from edgebook.runtimes.c.graph import read
from edgebook.runtimes.c.lower import lower

FORMAT = 1
PER_LINE = 24  # numbers in a line of an array


def bundle(
    folder: Path,
    file: Path,
    *,
    row: dict[str, Any],
    data: dict[str, Any],
    inputs: np.ndarray,
    outputs: np.ndarray,
    tolerance: float,
    steps: np.ndarray | None = None,
) -> str:
    """Write a bundle to `folder`, which must not exist yet. Returns the SHA-256 of its manifest: with it `verify` notices a
    manifest that was exchanged too.

    file: what ships; `model.json` or `model.onnx.data` beside it goes with it. row: the result row, for the card.
    data: "labels", "preprocess", "licence", "source" of the task. inputs, outputs: golden vectors (n, ...) and what the file's
    own runtime gives for them (n, n_outputs), float. tolerance: how far another runtime's outputs may be off.
    steps: the inputs as the C source takes them, int8 (n, steps, input size); None where C is not to run the file.
    """
    if folder.exists():
        raise BadInput(f"{folder}: exists; a bundle needs a new folder")
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir(parents=True)
    try:
        shipped = _copy(file, draft)
        _write_json(draft / "golden.json", {"inputs": inputs, "outputs": outputs, "tolerance": tolerance})
        _write_json(draft / "preprocess.json", data.get("preprocess", {}))
        _write_json(draft / "labels.json", list(data.get("labels", ())))
        (draft / "README.md").write_text(card(row, data), encoding="utf-8")
        _write_example(draft, draft / shipped, steps, data.get("labels", ()))
        digest = _write_manifest(draft, {"format": FORMAT, "file": shipped, "runtime": row.get("runtime")})
        os.rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return digest


def _copy(file: Path, folder: Path) -> str:
    """The file as `model` with its extension, and what lies beside it; its new name."""
    name = f"model{file.suffix}"
    shutil.copyfile(file, folder / name)
    for beside, target in ((file.with_suffix(".json"), "model.json"), (file.with_name(f"{file.name}.data"), f"{name}.data")):
        if beside.is_file():
            shutil.copyfile(beside, folder / target)
    return name


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, allow_nan=False, default=np.ndarray.tolist) + "\n", encoding="utf-8")


def _write_example(folder: Path, file: Path, steps: np.ndarray | None, labels: Sequence[str]) -> None:
    """The C source with its golden vectors; the file as an array where C has no kernel for it."""
    try:
        if steps is None:
            raise Unsupported("no integer inputs were given")
        (folder / "model.c").write_text(generate.source(file))
        (folder / "golden.h").write_text(_golden(file, steps, labels), encoding="utf-8")
        main = "main.c"
    except Unsupported:
        _write_array(folder, file.read_bytes())
        main = "main_array.c"
    example = resources.files("edgebook.boards") / "example"
    for name in ("host.c", "cortex_m.c", "link.ld", "Makefile"):
        (folder / name).write_text((example / name).read_text())
    (folder / "main.c").write_text((example / main).read_text())


def _golden(file: Path, steps: np.ndarray, labels: Sequence[str]) -> str:
    """golden.h: inputs, the outputs that this machine's C gives for them, labels."""
    network, compiled = lower(read(file)), host.load(file)
    steps = np.ascontiguousarray(steps, np.int8).reshape(len(steps), -1, network.n_input)
    outputs = [compiled.run(item)[-1] for item in steps] if network.n_state else compiled.run(steps)
    names = [str(label) for label in labels] or [f"output {i}" for i in range(network.n_output)]
    quoted = [json.dumps(name, ensure_ascii=False) for name in names]
    sizes = {"INPUT_SIZE": network.n_input, "OUTPUT_SIZE": network.n_output, "STATE_SIZE": network.n_state}
    sizes |= {"N_VECTORS": len(steps), "N_STEPS": steps.shape[1]}
    lines = [
        "#include <stdint.h>",
        "",
        *(f"#define {name} {size}" for name, size in sizes.items()),
        *(f"{line};" for line in generate.signatures(network)),
        f"static const int8_t golden_inputs[N_VECTORS][N_STEPS][INPUT_SIZE] = {_braces(steps)};",
        f"static const int8_t golden_outputs[N_VECTORS][OUTPUT_SIZE] = {_braces(np.array(outputs))};",
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


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
