"""What a worker of a cluster does: one execution at a time, in a folder of its own, with this machine's store."""

from __future__ import annotations

import platform
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

from distributed import get_worker

from edgebook import files
from edgebook.runner.execute import Run, execute
from edgebook.runner.executors.fingerprint import Question, difference, fingerprint
from edgebook.runner.executors.parcel import Parcel, to_return
from edgebook.runner.kernel import environment_of_kernels
from edgebook.runner.limits import end_group
from edgebook.runner.plan import Execution
from edgebook.runner.record import Record

PREFIX = "edgebook-worker-"  # of folders that are removed after an execution
_alone = threading.Lock()  # an execution changes the working folder and the environment of the process


@dataclass(frozen=True)
class Job:
    """An execution for a worker. host: the machine where the run was started. expected: what the worker must have."""

    run: Run
    execution: Execution
    key: str
    parcel: Parcel
    host: str
    asked: Question
    expected: dict[str, str]


@dataclass(frozen=True)
class Delivery:
    """What a worker gives back: the record with the files, or why it refuses the job. worker: its address. host: its machine."""

    worker: str
    host: str
    record: Record | None = None
    parcel: Parcel = field(default_factory=Parcel)
    refusal: str | None = None


def execute_job(job: Job) -> Delivery:
    """Execute a job in this process of a worker."""
    with _alone:
        address, here = get_worker().address, platform.node()
        if refusal := difference(job.expected, fingerprint(job.asked)):
            return Delivery(address, here, refusal=refusal)
        parent = Path(tempfile.gettempdir())
        files.remove_abandoned(parent, f"{PREFIX}*")
        host = {} if here == job.host else {"EDGEBOOK_HOST": here}
        with (
            files.temporary_folder(parent, PREFIX) as reports,
            environment_of_kernels({"EDGEBOOK_REPORTS": str(reports), **host}),
        ):
            run = replace(job.run, folder=reports / job.run.folder.name, sockets=None, kernel_servers={})
            job.parcel.unpack(run.folder)
            key = run.key(job.execution)  # another one than job.key: the same files have other times here
            record = execute(run, job.execution, key)
            if record.key == key:  # nothing has changed meanwhile, and what decides it is the same as where the run was started
                record = replace(record, key=job.key)
            return Delivery(address, here, record, to_return(run, job.execution.name, record))


def stop() -> None:
    """End the kernel that this worker is using."""
    from edgebook.runner import provisioner

    if pid := provisioner.current():
        end_group(pid)
