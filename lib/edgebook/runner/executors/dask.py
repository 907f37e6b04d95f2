"""Executions on the workers of a Dask cluster: results come back over the wire, a worker that dies costs nothing but time."""

from __future__ import annotations

import logging
import platform
import queue
import sys
import time
import uuid
import warnings
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from distributed import Client, Future

from edgebook.errors import BadInput, one_line
from edgebook.runner.execute import Run
from edgebook.runner.executors.executor import Outcome
from edgebook.runner.executors.fingerprint import DataFingerprints, Question, difference, fingerprint, question
from edgebook.runner.executors.parcel import receive, to_send
from edgebook.runner.executors.remote import Delivery, Job, execute_job, stop
from edgebook.runner.plan import Case, Execution, case_of
from edgebook.runner.record import write_record

CONNECT_S = 10  # to the scheduler
ABSENT_S = 60.0  # after which an execution fails that no worker can take
LOOK_S = 1.0  # between two looks at the workers
Resources = dict[str, float]


def needs(execution: Execution) -> Resources:
    """The resources that a worker must offer: a GPU where training is to run on one, quiet for timing where files are timed."""
    resources: Resources = {}
    if execution.params.get("device") == "cuda":
        resources["gpu"] = 1
    if execution.params.get("measure_s", 0) > 0:
        resources["latency"] = 1
    return resources


def connect(address: str, executions: list[Execution], data: DataFingerprints) -> Cluster:
    """An executor on the cluster whose scheduler is at this address.

    Raises BadInput when no scheduler answers there or it goes away, or when within ABSENT_S no worker offers what an execution
    needs with the same code, libraries and data as here.
    """
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="distributed")
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        raise BadInput(f"--scheduler {address}: no Dask scheduler answers there: {one_line(error)}") from None
    asked = question(executions, data)
    cluster = Cluster(address, client, asked, fingerprint(asked))
    try:
        for resources in {str(needs(execution)): needs(execution) for execution in executions}.values():
            cluster.await_worker(resources)
    except BaseException:
        client.close()
        raise
    return cluster


@dataclass
class InFlight:
    """An execution on the cluster. able: when a worker that could take it was last seen."""

    run: Run
    execution: Execution
    key: str
    future: Future
    able: float = field(default_factory=time.monotonic)


@dataclass
class Cluster:
    """An executor. workers: address -> what it offers, of those that have the same as this machine; refused: of the others."""

    address: str
    client: Client
    asked: Question
    expected: dict[str, str]
    workers: dict[str, Resources] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    in_flight: dict[str, InFlight] = field(default_factory=dict)
    first_of_case: dict[Case, str] = field(default_factory=dict)  # trains the baseline, which the others get
    ended: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    looked: float = -LOOK_S

    @property
    def n_at_once(self) -> int:
        return max(1, len(self.workers))

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        """End what runs, and leave the cluster."""
        with suppress(Exception):  # whatever the state of the connection
            if self.in_flight:
                self.client.cancel([each.future for each in self.in_flight.values()])
                self.client.run(stop, on_error="ignore")
        self.client.close(timeout=CONNECT_S)

    def has_room(self, execution: Execution) -> bool:
        """Whether a worker may be free; an execution whose baseline is being trained on another worker waits for it."""
        self._look()
        return len(self.in_flight) < self.n_at_once and self.first_of_case.get(case_of(execution)) not in self.in_flight

    def submit(self, run: Run, execution: Execution, key: str) -> None:
        if "task" in execution.params:
            self.first_of_case.setdefault(case_of(execution), execution.name)
        resources = needs(execution)
        allowed = [address for address, offered in self.workers.items() if offers(offered, resources)]
        future = self.client.submit(
            execute_job,
            Job(run.reduced_to(execution), execution, key, to_send(run, execution), platform.node(), self.asked, self.expected),
            key=f"{execution.name}-{uuid.uuid4().hex[:8]}",
            workers=allowed if self.refused else None,  # without any, those that join later are welcome
            resources=resources,
            pure=False,
        )
        self.in_flight[execution.name] = InFlight(run, execution, key, future)
        future.add_done_callback(lambda _: self.ended.put(execution.name))

    def wait(self) -> list[tuple[str, Outcome]]:
        while True:
            try:
                name = self.ended.get(timeout=LOOK_S)
            except queue.Empty:
                if outcomes := self._without_worker():
                    return outcomes
            else:
                if name in self.in_flight and (outcome := self._outcome(name)):
                    return [(name, outcome)]

    def _outcome(self, name: str) -> Outcome | None:
        """What became of an execution; None when its worker refused it, so that it went to another one."""
        there = self.in_flight.pop(name)
        try:
            delivery: Delivery = there.future.result()
        except CancelledError:
            raise self._lost() from None
        except Exception as error:  # of the cluster: what fails in a notebook is a record
            return Outcome(error=f"no worker finished it: {one_line(error)}")
        if delivery.record is None:
            self._refuse(delivery.worker, delivery.refusal or "")
            self.submit(there.run, there.execution, there.key)
            return None
        if receive(delivery.parcel, there.run, name) != delivery.record.files:
            return Outcome(error=f"its files did not arrive whole from {delivery.host}")
        write_record(there.run.folder, name, delivery.record)
        return Outcome(delivery.record)

    def _without_worker(self) -> list[tuple[str, Outcome]]:
        """Outcomes of executions that no worker can take, and could not for a while."""
        self._look()
        outcomes = []
        for name, there in list(self.in_flight.items()):
            resources = needs(there.execution)
            if any(offers(offered, resources) for offered in self.workers.values()):
                there.able = time.monotonic()
            elif time.monotonic() - there.able > ABSENT_S:
                self.client.cancel([self.in_flight.pop(name).future])
                outcomes.append((name, Outcome(error=f"no worker that offers {words(resources)} for {ABSENT_S:g} s")))
        return outcomes

    def await_worker(self, resources: Resources) -> None:
        """Wait until a worker offers these resources. Raises BadInput, which names what differs, when none does for ABSENT_S."""
        end = time.monotonic() + ABSENT_S
        while not any(offers(offered, resources) for offered in self.workers.values()):
            if time.monotonic() > end:
                reasons = "".join(f"; {address} is refused: {reason}" for address, reason in self.refused.items())
                raise BadInput(f"--scheduler {self.address}: no worker offers {words(resources)}{reasons}; see docs/cluster.md")
            time.sleep(0 if self._look() else LOOK_S / 4)

    def _look(self) -> bool:
        """See which workers there are, once in LOOK_S, and whether new ones have the same as this machine; whether it looked."""
        if time.monotonic() - self.looked < LOOK_S:
            return False
        self.looked = time.monotonic()
        if self.client.status == "closed":  # it could not reach the scheduler again
            raise self._lost()
        try:
            present = self.client.scheduler_info().get("workers", {})
            new = list(present.keys() - self.workers.keys() - self.refused.keys())
            answers: Any = self.client.run(fingerprint, self.asked, workers=new, on_error="return") if new else {}
        except (OSError, RuntimeError):  # the scheduler is away; the client tries to reach it again
            present, answers = {}, {}
        self.workers = {address: offered for address, offered in self.workers.items() if address in present}
        for address, answer in answers.items():
            found = isinstance(answer, dict)
            reason = difference(self.expected, answer) if found else f"edgebook cannot be used there: {one_line(answer)}"
            if reason:
                self._refuse(address, reason)
            else:
                self.workers[address] = present[address]["resources"]
        return True

    def _lost(self) -> BadInput:
        """That the scheduler is gone, which knew what was in flight."""
        return BadInput(f"--scheduler {self.address}: the scheduler is gone; what has ended is kept, the same command goes on")

    def _refuse(self, address: str, reason: str) -> None:
        self.workers.pop(address, None)
        self.refused[address] = reason
        print(f"edgebook: worker {address} is refused: {reason}", file=sys.stderr, flush=True)


def offers(offered: Resources, needed: Resources) -> bool:
    """Whether a worker has all that is needed."""
    return all(offered.get(name, 0) >= number for name, number in needed.items())


def words(resources: Resources) -> str:
    """Resources as `dask worker --resources` takes them."""
    return " ".join(f"{name}={number:g}" for name, number in resources.items()) or "anything"
