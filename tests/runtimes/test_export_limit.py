"""An export that takes too long is a row with its reason; it never keeps others from measuring."""

import subprocess
import sys
import time
from contextlib import suppress

import pytest

from edgebook import lock
from edgebook.errors import Unsupported
from edgebook.runtimes import export_limit
from edgebook.runtimes.export import export
from edgebook.runtimes.onnx import export as onnx_export

MEASURER = "from edgebook import lock\nwith lock.measuring('a test'): print('measured')"


def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        with suppress(Exception):  # as exporters do, to go on in another way
            sum(range(1000))


def test_an_export_that_takes_too_long_is_ended(net, mnist1d, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(export_limit, "EXPORT_S", 0.2)
    monkeypatch.setattr(export_limit, "LOOK_S", 0.1)
    monkeypatch.setattr(onnx_export, "convert", lambda model, example, path: busy(30) or {})
    with pytest.raises(Unsupported, match=r"its export was ended after 0\.2 s") as caught:
        export(net, mnist1d, tmp_path / "net", runtime="onnx")
    assert caught.value.code == "time"
    assert not list((tmp_path / "store" / "files").iterdir())
    with pytest.raises(Unsupported, match="was ended after"):
        export_limit.run([sys.executable, "-c", "import time; time.sleep(60)"])


def test_an_export_lets_a_measurer_in(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_LOCK", str(tmp_path))
    with lock.training(), export_limit.limited():
        measurer = subprocess.Popen([sys.executable, "-c", MEASURER], stdout=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while measurer.poll() is None and time.monotonic() < end:
            sum(range(1000))
        assert measurer.poll() == 0
    assert measurer.stdout.read() == "measured\n"
