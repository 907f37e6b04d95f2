"""Bundles: complete, checked before anything runs, and their golden vectors notice other weights."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from tflite_files import activation, network, options

from edgebook.boards import bundle, emulated, verify
from edgebook.boards.card import card
from edgebook.errors import BadInput
from edgebook.files import sha256
from edgebook.runtimes.base import Quant
from edgebook.runtimes.c import generate, host
from edgebook.runtimes.c.ends import parse
from edgebook.runtimes.export import export

ROW = {
    "row_id": "abc123", "run": "quick", "label": "conv1d int8", "model": "conv1d", "method": "int8-static",
    "precision": "int8-static", "runtime": "litert", "task": "mnist1d", "metric": "accuracy", "score": 0.912,
    "score_lo": 0.893, "score_hi": 0.928, "n_test": 1000, "size_bytes": 8896,
}  # fmt: skip
DATA = {
    "labels": [str(i) for i in range(10)],
    "preprocess": {"scale": 1.0},
    "licence": "Apache-2.0",
    "source": "https://example.org",
}


@pytest.fixture(scope="module")
def files(net, mnist1d, tmp_path_factory):
    """conv1d as a float and an int8 .tflite."""
    folder = tmp_path_factory.mktemp("files")
    quants = {"fp32": None, "int8-static": Quant(n_calibration=64)}
    return {name: export(net, mnist1d, folder / name, runtime="litert", quant=quant).path for name, quant in quants.items()}


@pytest.fixture(scope="module")
def golden(files, mnist1d):
    inputs = mnist1d.x_test[:6].numpy()
    tolerance = 1.01 * parse(generate.source(files["int8-static"])).output[0]
    return bundle.Golden(inputs, verify.outputs("litert", files["int8-static"], inputs), tolerance)


@pytest.fixture(scope="module")
def made(files, golden, tmp_path_factory):
    """(folder of a bundle, its manifest's hash)."""
    folder, file = tmp_path_factory.mktemp("bundles") / "bundle", files["int8-static"]
    return folder, bundle.bundle(folder, file, row=ROW, data=DATA, golden=golden, source=generate.source(file))


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made[0], tmp_path / "bundle")
    return tmp_path / "bundle"


def failed(checks):
    return {check.name: check.text for check in checks if check.ok is False}


def renew_manifest(folder):
    """What someone does who exchanges the manifest as well."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: sha256(folder / name) for name in manifest["files"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_bundle_is_whole_and_verifies(made):
    folder, digest = made
    names = {path.name for path in folder.iterdir()}
    assert names - {"build"} == {
        "README.md", "Makefile", "cortex_m.c", "golden.h", "golden.json", "host.c", "labels.json", "link.ld", "main.c",
        "manifest.json", "model.c", "model.tflite", "preprocess.json",
    }  # fmt: skip
    checks = verify.verify(folder, manifest_sha256=digest)
    assert not failed(checks)
    texts = {check.name: check.text for check in checks}
    assert texts["litert"] == texts["tflm"]
    assert texts["litert"].startswith("6 golden vectors within ")
    assert json.loads((folder / "labels.json").read_text()) == DATA["labels"]


def test_the_example_names_the_class_on_this_machine_and_on_an_emulated_m4(made, golden):
    """`make` and `make m4`, as the bundle's README says."""
    folder = made[0]
    if not shutil.which("make") or host.missing():
        pytest.skip("make or cc is not installed")
    label = DATA["labels"][int(golden.outputs[0].argmax())]
    targets = ["run"] if emulated.missing() else ["run", "m4"]
    for target in targets:
        ended = subprocess.run(["make", "--silent", target, "-C", str(folder)], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        assert f"golden vectors: equal\nfirst vector: {label}" in (ended.stdout + ended.stderr).replace("\r", "")
        assert "warning" not in ended.stderr
    assert not failed(verify.verify(folder, manifest_sha256=made[1]))  # what was built changes nothing


def test_one_flipped_bit_of_any_file_is_found_and_nothing_runs(copied, made, monkeypatch):
    loaded = []
    monkeypatch.setattr(verify, "outputs", lambda *arguments: loaded.append(arguments))
    names = json.loads((copied / "manifest.json").read_text())["files"]
    assert len(names) == 12
    for name in names:
        raw = (copied / name).read_bytes()
        (copied / name).write_bytes(flipped(raw, len(raw) // 2))
        checks = verify.verify(copied, manifest_sha256=made[1])
        assert failed(checks) == {name: "was changed: its SHA-256 differs from the manifest's"}
        assert not any("C example" in check.name for check in checks)
        (copied / name).write_bytes(raw)
    assert not loaded


def flipped(raw, place):
    return raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :]


def test_an_exchanged_manifest_is_found_by_its_own_hash(copied, made):
    (copied / "README.md").write_text("another card")
    renew_manifest(copied)
    checks = verify.verify(copied, manifest_sha256=made[1])
    assert failed(checks) == {"manifest.json": "is not the manifest that was made"}


def test_one_flipped_bit_of_the_manifest_is_found(copied, made, monkeypatch):
    """Anywhere in it, and where its hash is not known wherever it says something of the files."""
    monkeypatch.setattr(verify, "outputs", lambda *arguments: pytest.fail("something was loaded"))
    raw = (copied / "manifest.json").read_bytes()
    start = raw.index(b'"files"')
    for place in range(0, len(raw), 29):
        (copied / "manifest.json").write_bytes(flipped(raw, place))
        for digest in [made[1]] + [None] * (place >= start):
            try:
                assert failed(verify.verify(copied, manifest_sha256=digest)), place
            except BadInput:
                continue


def test_what_is_not_installed_here_is_not_checked_and_says_so(made, monkeypatch):
    monkeypatch.setattr(host, "missing", lambda: "no C compiler: cc is not on the path")
    monkeypatch.setattr(emulated, "missing", lambda: "qemu-system-arm is not installed")
    monkeypatch.setattr(verify, "missing", lambda name: f"{name} is not installed")
    open_checks = {check.name: check.text for check in verify.verify(made[0]) if check.ok is None}
    assert open_checks == {
        "litert": "litert is not installed",
        "tflm": "tflm is not installed",
        "C example": "no C compiler: cc is not on the path",
        "C example on cortex-m4": "qemu-system-arm is not installed",
    }


def test_missing_and_additional_files_are_named(copied):
    (copied / "labels.json").unlink()
    (copied / "more.py").write_text("print('hello')")
    checks = verify.verify(copied)
    assert failed(checks) == {"labels.json": "is missing or no plain file", "more.py": "is not in the manifest"}


def test_the_golden_vectors_notice_a_flipped_bit_of_a_weight(copied):
    """In the C source and in the file, the manifest renewed so that the hashes agree."""
    source = (copied / "model.c").read_text()
    start = source.index("layer3_weights")
    opening = source.index("{", start) + 1
    first = source[opening : source.index(",", opening)].strip()
    changed = source[:opening] + f" {int(first) ^ -128}" + source[source.index(",", opening) :]
    (copied / "model.c").write_text(changed)
    raw = bytearray((copied / "model.tflite").read_bytes())
    raw[raw.index(dense_weights(raw)) + 5] ^= 0x80  # the sign of one of them
    (copied / "model.tflite").write_bytes(raw)
    renew_manifest(copied)
    problems = failed(verify.verify(copied))
    assert "instead of" in problems["litert"]
    if not host.missing():
        assert problems["C example"] == "a golden vector differs: this is not the network that was measured"


def dense_weights(raw):
    """The weights of the dense layer of a .tflite, as bytes."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(bytes(raw), 0)
    tensors = [tensor for tensor in model.subgraphs[0].tensors if len(tensor.shape) == 2 and tensor.shape[0] == 10]
    return next(data.tobytes() for tensor in tensors if (data := model.buffers[tensor.buffer].data) is not None)


def test_a_sequence_runs_step_by_step(tmp_path):
    """h = x + h, two sequences of three steps."""
    tensors = [activation((1, 8), 0.02, 3), activation((1, 8), 0.02, 5), activation((1, 8), 0.02, 5)]
    (tmp_path / "sum.tflite").write_bytes(network([("ADD", options("AddOptions"), [0, 1], [2])], [0, 1], [2], tensors))
    (tmp_path / "sum.json").write_text('{"steps": 3, "x": 0, "y": 0, "states": [{"name": "h", "input": 1, "output": 0}]}')
    golden = bundle.Golden(np.random.default_rng(0).normal(size=(2, 8, 3)), np.zeros((2, 8)), tolerance=0.0)
    source = generate.source(tmp_path / "sum.tflite")
    bundle.bundle(tmp_path / "bundle", tmp_path / "sum.tflite", row={"runtime": "c"}, data={}, golden=golden, source=source)
    header = (tmp_path / "bundle" / "golden.h").read_text()
    assert "#define N_STEPS 3" in header
    assert "#define STATE_SIZE 8" in header
    if host.missing():
        return
    texts = {check.name: check.text for check in verify.verify(tmp_path / "bundle")}
    assert texts["C example"].startswith("first vector: output ")


def test_a_file_that_c_cannot_run_is_an_array_with_a_checksum(tmp_path, files, mnist1d):
    path, inputs = files["fp32"], mnist1d.x_test[:2].numpy()
    golden = bundle.Golden(inputs, verify.outputs("litert", path, inputs), tolerance=1e-3)
    bundle.bundle(tmp_path / "bundle", path, row=ROW, data=DATA, golden=golden)
    checks = {check.name: check for check in verify.verify(tmp_path / "bundle")}
    assert checks["litert"].ok
    if not host.missing():
        assert checks["C example"].text == f"model: {path.stat().st_size} bytes, checksum equal"


def test_a_folder_that_is_no_bundle_is_one_clear_line(tmp_path, copied):
    with pytest.raises(BadInput, match="is no bundle"):
        verify.verify(tmp_path)
    for bad in ({"format": 2, "files": {}}, {"format": 1, "files": {"../x": "0"}, "file": "model.tflite"}, [1]):
        (copied / "manifest.json").write_text(json.dumps(bad))
        with pytest.raises(BadInput, match=r"is no manifest of format 1 with plain file names"):
            verify.verify(copied)
    (copied / "manifest.json").write_text(json.dumps({"format": 1, "files": {}, "file": "model.tflite"}))
    with pytest.raises(BadInput, match=r"does not list golden\.json, model\.tflite"):
        verify.verify(copied)
    with pytest.raises(BadInput, match="exists; a bundle needs a new folder"):
        bundle.bundle(copied, copied / "model.tflite", row={}, data={}, golden=bundle.Golden(np.zeros(1), np.zeros(1), 0.0))


def test_the_card_says_the_score_with_its_interval_and_its_limits():
    text = card(ROW, DATA)
    assert "| test accuracy | 0.9120 (95 %: 0.8930 to 0.9280) |" in text
    assert "| licence of the data | Apache-2.0 |" in text
    assert "1,000 test items of mnist1d" in text
    assert "latency" not in text  # the row has none
