"""The machine-wide lock: measuring keeps training out, training is let in again, and a waiter says who it waits for."""

import subprocess
import sys
import time

import pytest

from edgebook import lock

TRAIN = "from edgebook import lock\nwith lock.training():\n    print('in', flush=True)\n"


def other_process():
    return subprocess.Popen([sys.executable, "-c", TRAIN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_training_waits_for_a_measurement_and_says_whose():
    with lock.measuring("20_prune_sweep"):
        process = other_process()
        time.sleep(0.7)
        assert process.poll() is None
    out, err = process.communicate(timeout=10)
    assert out == "in\n"
    assert "waiting for 20_prune_sweep (process" in err


def test_two_may_train_at_once():
    with lock.training():
        out, err = other_process().communicate(timeout=10)
    assert (out, err) == ("in\n", "")


def test_the_training_side_may_be_entered_again_and_never_while_measuring_is_asked():
    with lock.training(), lock.training(), pytest.raises(RuntimeError, match="training side"), lock.measuring("x"):
        pass


def test_a_measurer_is_let_in_amid_a_long_epoch():
    code = "from edgebook import lock\nwith lock.measuring('x'):\n    print('measured', flush=True)\n"
    with lock.training():
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        ends = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < ends:
            time.sleep(0.05)
            lock.step_aside()
        assert process.poll() is not None, "it measures only once training has ended"
    out, _ = process.communicate(timeout=10)
    assert out == "measured\n"
    lock.step_aside()  # with nothing held it does nothing


def test_a_lock_ends_with_its_process():
    code = "from edgebook import lock\nimport os\nwith lock.measuring('gone'):\n    os._exit(1)\n"
    subprocess.run([sys.executable, "-c", code], check=False)
    out, err = other_process().communicate(timeout=10)
    assert (out, err) == ("in\n", "")
