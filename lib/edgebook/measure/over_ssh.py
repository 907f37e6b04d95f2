"""A measuring session on a machine over SSH."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebook.boards import ssh
from edgebook.measure.measured import Measured
from edgebook.measure.session import measure_files
from edgebook.runtimes.base import Artifact


def measure_over_ssh(
    url: str,
    artifacts: list[Artifact],
    splits: dict[str, np.ndarray],
    *,
    seconds: float,
    threads: int,
    who: str,
    limit_s: float = 120.0,
) -> list[Measured]:
    """As `measure_files`, on the machine of an `ssh://` URL; every result has the reason where the machine cannot be used.

    limit_s: what does not answer for so long has failed. Raises BadInput for another URL.
    """
    try:
        with ssh.board(url) as board:
            place = replace(board, limit_s=limit_s)
            return measure_files(artifacts, splits, seconds=seconds, threads=threads, who=who, board=place)
    except RuntimeError as error:
        return [Measured(artifact, error=str(error)) for artifact in artifacts]
