"""Converters print a lot, from Python and from C++; a notebook should show results instead."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator

from IPython.utils.capture import capture_output


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing is printed inside, also not by C++ code that writes to the file descriptors; exceptions come through."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        with warnings.catch_warnings(), capture_output():  # Python's streams, and rich displays in a notebook
            warnings.simplefilter("ignore")
            yield
    finally:
        for descriptor, target in zip(saved, (1, 2), strict=True):
            os.dup2(descriptor, target)
            os.close(descriptor)
        os.close(nowhere)
        logging.disable(level)
