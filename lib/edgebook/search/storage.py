"""Optuna's SQLite storage of a search: one file per folder, one study per method and seed, a lock per worker."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import optuna
from filelock import FileLock, Timeout
from optuna.trial import TrialState

from edgebook.errors import BadInput
from edgebook.experiment.notebook import Notebook
from edgebook.naming import short_id

FILE = "study.db"
SQLITE_WAIT_S = 60.0
OF_TASK = ("task", "model", "model_shape", "baseline_recipe", "device", "train_threads", "search_space")
DECIDING = {  # notebook -> parameters that decide what a trial's figures are, beside those of its task
    "50_search": ("search_cost", "search_limit", "table_nets", "proxy_recipe", "proxy_items", "runtimes", "threads"),
    "55_autotune": (
        *("board", "flash_bytes", "ram_bytes", "latency_budget_ms", "max_loss"),
        *("distill_recipe", "qat_recipe", "seed"),
    ),
}


def study_folder(nb: Notebook) -> Path:
    """The folder of a notebook's studies, in its run: other parameters that decide the figures begin other studies."""
    values = {name: nb[name] for name in (*OF_TASK, *DECIDING[nb.stem])}
    return nb.run_dir / nb.stem.partition("_")[2] / f"{nb.execution}-{short_id(values)[:6]}"


def open_study(folder: Path, name: str, directions: list[str], signature: dict[str, str]) -> optuna.Study:
    """The study `name` in the folder's file, made where it is not there yet.

    signature: texts that say what is searched. Raises BadInput where the study has other ones.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    is_new = not (folder / FILE).exists()
    storage = optuna.storages.RDBStorage(_url(folder), engine_kwargs={"connect_args": {"timeout": SQLITE_WAIT_S}})
    if is_new:  # a write-ahead log halves the time of a trial's writes
        with contextlib.closing(sqlite3.connect(folder / FILE)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    given = {"storage": storage, "sampler": optuna.samplers.RandomSampler()}  # proposals are made elsewhere
    if name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=name, **given)
        _check_signature(study, folder / FILE, signature)
        if signature.keys() <= study.user_attrs.keys():
            return study
    else:
        study = optuna.create_study(study_name=name, directions=directions, **given)
    for key, text in signature.items():
        study.set_user_attr(key, text)
    return study


def load_study(folder: Path, method: str, seed: int) -> optuna.Study:
    """The study of a search, for Optuna's importances and figures. Raises BadInput where there is none."""
    return named_study(folder, study_name(method, seed))


def named_study(folder: Path, name: str) -> optuna.Study:
    """A study of a folder's file by its name. Raises BadInput where there is none."""
    if not (folder / FILE).is_file():
        raise BadInput(f"{folder / FILE}: there is no study; allowed: a folder that was searched in")
    names = optuna.get_all_study_names(_url(folder))
    if name not in names:
        raise BadInput(f"{folder / FILE}: no study {name}; it has {', '.join(sorted(names))}")
    return optuna.load_study(study_name=name, storage=_url(folder))


def study_name(method: str, seed: int) -> str:
    """How the study of a method and seed is called in a folder's file."""
    return f"{method}-{seed}"


def asking(folder: Path) -> FileLock:
    """The lock under which one worker at a time proposes."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "ask.lock")


@contextlib.contextmanager
def new_worker(folder: Path, name: str) -> Iterator[int]:
    """The lowest number that no living worker of the study has; it is free again when this process ends, however it does."""
    for number in itertools.count():
        lock = _worker_lock(folder, name, number)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            yield number
        finally:
            lock.release()
        return


def is_dead(folder: Path, name: str, worker: int) -> bool:
    """Whether the process that had this number has ended."""
    with contextlib.suppress(Timeout), _worker_lock(folder, name, worker).acquire(timeout=0):
        return True
    return False


def fail_abandoned(study: optuna.Study, folder: Path, worker: int) -> None:
    """End running trials whose worker is no more. Whoever asks holds the lock, so a trial without a worker is abandoned too."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        asker = trial.user_attrs.get("proposal", {}).get("worker")
        if asker in (None, worker) or is_dead(folder, study.study_name, asker):
            study.tell(trial.number, state=TrialState.FAIL)


def _check_signature(study: optuna.Study, path: Path, signature: dict[str, str]) -> None:
    for key, text in signature.items():
        if (stored := study.user_attrs.get(key, text)) != text:
            raise BadInput(f"{path}: study {study.study_name} has {key} {stored}, given {text}; allowed: the same, or a new one")


def _worker_lock(folder: Path, name: str, number: int) -> FileLock:
    return FileLock(folder / f"{name}.worker-{number}.lock")


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / FILE}"
