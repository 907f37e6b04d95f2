"""Processes that end with the one that started them, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h
LOOK_S = 0.5  # between two looks at the parent, where the system sends no signal


def end_with_parent(parent: int | None = None) -> None:
    """End this process at once when its parent has ended, also inside a call that never returns.

    parent: process id of the parent, where it may have ended before this call. On Linux the kernel sends the signal; a thread
    looks as well, since the signal is bound to the parent's thread that started this process.
    """
    parent = parent or os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="edgebook-parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGKILL)
