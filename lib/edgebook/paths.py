"""Where things lie: the checkout's folders, and the two that the user may place elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from edgebook.errors import BadInput

CHECKOUT = Path(__file__).parents[2]
NOTEBOOKS = CHECKOUT / "notebooks"
PRESETS = CHECKOUT / "params"
DEVICES = CHECKOUT / "devices.yaml"


def reports_dir() -> Path:
    """Folder of all runs: `EDGEBOOK_REPORTS`, else `reports/` in the checkout. Absolute; not created here."""
    return _placed("EDGEBOOK_REPORTS", "reports")


def store_dir() -> Path:
    """Folder of trained networks and exported files: `EDGEBOOK_STORE`, else `.store/` in the checkout. Created when absent.

    Raises BadInput, with the folder and the reason, when it cannot be created.
    """
    folder = _placed("EDGEBOOK_STORE", ".store")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be created: {error.strerror}") from None
    return folder


def stored_network(key: str) -> Path:
    """Where the trained network of a key is in the store, or would be."""
    return store_dir() / f"{key}.pt"


def measurements_dir(run_dir: Path, execution: str) -> Path:
    """Folder of an execution's measurements, from which it goes on; not created here."""
    return run_dir / "measurements" / execution


def stop_file(run_dir: Path) -> Path:
    """The file that tells an execution of a run to end early with what it has; there after the first Ctrl-C."""
    return run_dir / "stop"


def _placed(variable: str, name: str) -> Path:
    return Path(os.environ.get(variable) or CHECKOUT / name).expanduser().absolute()
