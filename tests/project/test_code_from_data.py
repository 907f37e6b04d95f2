"""Data never run: nothing that a file holds or names is imported or executed, and nothing is written outside of its own folder.

Code runs that the user names on the command line or in a preset: a network's own file, and nothing else.
"""

import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from edgebook import paths, yaml_file
from edgebook.cli import app
from edgebook.errors import BadInput
from edgebook.experiment.external_files import MeasureSettings, measure_external
from edgebook.models import build_model, rebuild
from edgebook.models.weights_file import read_state
from edgebook.rows import read_rows
from edgebook.runner.executors.parcel import Parcel
from edgebook.runner.record import read_record
from edgebook.runtimes.packed.load import MAGIC
from edgebook.runtimes.sidecar import read
from edgebook.tasks import load_task
from edgebook.tasks.formats import load_path
from edgebook.training import store

SPEC = {"model": "mlp", "input_shape": [4], "n_outputs": 2, "shape": {}, "wrappers": []}
QUICK = MeasureSettings(measure_s=0.05)


class Evil:
    """Leaves a file when it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (self.place,)


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """A folder that is there once something has run; the working folder has a network that makes it when it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEBOOK_NETWORKS", "")
    monkeypatch.setenv("EDGEBOOK_PACKAGES", "")
    monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path / "store"))
    (tmp_path / "evil.py").write_text(f"import os; os.mkdir({str(tmp_path / 'ran')!r})\ndef build(*args): pass\n")
    return tmp_path / "ran"


def sealed(path, content):
    """A file of the store with a right checksum."""
    path.write_bytes(b"%s %s\n%s" % (store.FORMAT, hashlib.sha256(content).hexdigest().encode(), content))
    return path


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def pack(path, spec):
    """A packed file with a right checksum."""
    head = zlib.compress(json.dumps({"spec": spec}).encode())
    content = MAGIC + struct.pack("<H", len(head)) + head
    path.write_bytes(content + struct.pack("<I", zlib.crc32(content)))
    return path


@pytest.mark.parametrize(
    "change",
    [
        *({"model": name} for name in ("evil.py:build", "evil:build", "os:system", "evil.pt2")),
        *({"wrappers": [{"name": name}]} for name in ("evil:build", "os:system")),
    ],
)
def test_a_description_of_a_network_names_no_code(change, ran, tmp_path):
    """The store, packed files and files of eager PyTorch describe a network in the same way, and read it by the same function."""
    with pytest.raises(BadInput):
        rebuild(SPEC | change)
    network = {"spec": SPEC | change, "structure": {"sizes": {}, "shapes": {}}, "state": {}}
    with pytest.raises(BadInput):
        store.load(sealed(tmp_path / "net.pt", saved(network)))
    assert not ran.exists()


def test_a_measured_file_names_no_code(ran, tmp_path):
    """Each in a process of its own, as `edgebook measure` does."""
    files = [
        pack(tmp_path / "net.pack", SPEC | {"model": "evil.py:build"}),
        pack(tmp_path / "evil.pack", SPEC | {"model": "evil:build"}),
    ]
    rows = measure_external(files, None, tmp_path / "out", settings=QUICK)
    assert [row["status"] for row in rows] == ["failed", "failed"]
    evil = saved({"spec": Evil(str(ran))})
    (row,) = measure_external(
        [sealed(tmp_path / "x.pt", evil)], None, tmp_path / "out", settings=MeasureSettings("torch", measure_s=0.05)
    )
    assert "could run code" in row["error"]
    assert not ran.exists()


def test_c_from_elsewhere_is_not_compiled(ran, tmp_path):
    (tmp_path / "net.c").write_text("__attribute__((constructor)) void f(void) {}")
    for name, said in ((None, "extension '.c' is unknown"), ("c", "allowed: .tflite")):
        with pytest.raises(BadInput, match=said):
            measure_external([tmp_path / "net.c"], None, tmp_path / "out", settings=MeasureSettings(name))


READERS = {  # a file of pickled, or otherwise executable data -> what reads it
    "net.pt": lambda path: store.load(sealed(path, path.read_bytes())),
    "weights.pt": read_state,
    "weights.safetensors": read_state,
    "data.npz": lambda path: load_task(str(path)),
    "data.csv": lambda path: load_task(str(path)),
    "data.parquet": lambda path: load_task(str(path)),
    "data.yaml": lambda path: load_path(str(path)),
    "preset.yaml": yaml_file.read,
    "net.json": lambda path: read(path.with_suffix(".onnx")),
}


@pytest.mark.parametrize("name", READERS)
def test_a_pickle_under_any_name_is_refused(name, ran, tmp_path):
    path = tmp_path / name
    for content in (saved(Evil(str(ran))), pickle.dumps(Evil(str(ran)))):
        path.write_bytes(content)
        with pytest.raises(BadInput) as caught:
            READERS[name](path)
        assert "\n" not in str(caught.value)
    assert not ran.exists()


def test_other_places_for_a_pickle(ran, tmp_path):
    np.savez(tmp_path / "data.npz", x_train=np.array([Evil(str(ran))] * 9, object), y_train=np.arange(9) % 3)
    with pytest.raises(BadInput):
        load_task(str(tmp_path / "data.npz"))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "x.json").write_bytes(pickle.dumps(Evil(str(ran))))
    assert read_record(tmp_path, "x") is None
    (tmp_path / "rows.jsonl").write_bytes(pickle.dumps(Evil(str(ran))))
    with pytest.warns(UserWarning, match="the line is left out"):
        assert read_rows(tmp_path / "rows.jsonl") == []
    with pytest.raises(BadInput):
        build_model(str(tmp_path / "net.pt2"), (4,), 2)
    assert not ran.exists()


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.mkdir [ran]", "!!python/name:os.system", "!!python/module:evil", "!evil {a: 1}"]
)
def test_yaml_constructs_nothing(text, ran, tmp_path):
    with pytest.raises(ValueError, match="could not determine a constructor"):
        yaml_file.parse(text)
    (tmp_path / "devices.yaml").write_text(f"host: {text}")
    from edgebook.devices import load_devices

    with pytest.raises(BadInput):
        load_devices(tmp_path / "devices.yaml")
    assert not ran.exists()


def test_modules_in_the_working_folder_are_not_imported(ran, tmp_path):
    """Of a user who stands in a folder with a numpy.py: neither by the command, nor by its workers, nor by kernels."""
    for name in ("numpy", "json", "pickle", "torch", "ipykernel", "pandas", "onnxruntime"):
        (tmp_path / f"{name}.py").write_text((tmp_path / "evil.py").read_text())
    (tmp_path / "x.onnx").write_bytes(b"no network")
    (tmp_path / "bin").mkdir()  # a script of another folder, as the installed command is
    pool = "from edgebook.runner.executors.local import Pool; pool = Pool(1, 1); "
    for code, said in (
        ("from edgebook.cli import main; sys.argv[1:] = ['measure', 'x.onnx']; main()", "ONNX Runtime cannot load it"),
        (f"{pool}pool.submit(1, len, ('abc',)); print(pool.wait())", "value=3"),
    ):
        (tmp_path / "bin" / "command.py").write_text(f"import sys\nif __name__ == '__main__':\n    {code}\n")
        done = subprocess.run([sys.executable, "bin/command.py"], capture_output=True, text=True)
        assert said in done.stdout, done.stderr
    assert not ran.exists()


def test_a_parcel_stays_in_its_folder(ran, tmp_path, monkeypatch):
    for parcel in (Parcel(run={"../../ran": b"x"}), Parcel(store={"../../ran": b"x"}), Parcel(run={str(ran): b"x"})):
        with pytest.raises(ValueError, match="is outside of"):
            parcel.unpack(tmp_path / "reports" / "run")
    assert not ran.exists()


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/tmp", "~", "-x", "a\nb", "x" * 240, "{run}"])
def test_a_run_is_a_folder_of_its_own_under_reports(name, ran, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path / "reports"))
    before = sorted(tmp_path.rglob("*"))
    for command in (["run", "smoke", "--name"], ["report", "--"], ["pick", "--"], ["status", "--"]):
        with pytest.raises(BadInput) as caught:
            CliRunner().invoke(app, [*command, name], catch_exceptions=False)
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_written_into_folders_of_others(ran, tmp_path, monkeypatch):
    """Reports may be anywhere; a folder there with other files is no run."""
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path / "reports"))
    other = tmp_path / "reports" / "thesis"
    (other / "rows").mkdir(parents=True)
    (other / "index.html").write_text("mine")
    for command in (["run", "smoke", "--name", "thesis"], ["report", "thesis"], ["measure", "evil.py", "--out", str(other)]):
        with pytest.raises(BadInput):
            CliRunner().invoke(app, command, catch_exceptions=False)
    assert [path.name for path in sorted(other.rglob("*"))] == ["index.html", "rows"]
    assert (other / "index.html").read_text() == "mine"
    assert paths.reports_dir() == tmp_path / "reports"
    assert yaml.safe_load((paths.PRESETS / "smoke.yaml").read_text())["points"]
