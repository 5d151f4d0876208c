"""One trainer's part in a job, from its dataset's first look to the job's end, with whatever algorithm it is given."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import random
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fedward_node.trainer.algorithm import Algorithm, Cases
from fedward_node.trainer.backoff import Backoff, jittered
from fedward_node.trainer.loop import Loop, Part, Worker
from fedward_node.trainer.order import OrderFile
from fedward_node.trainer.session import SILENCE_S, AttendCall, Session
from fedward_node.trainer.state import State
from fedward_node.trainer.transfer import Transfer
from fedward_node.trainer.vitals import Meter, Reading
from fedward_node.trainer.way import Way
from fedward_protocol import logs, work_order
from fedward_protocol.identity import gateway_name
from fedward_protocol.plan import Encoding, Plan
from fedward_protocol.reasons import RefusedError
from fedward_protocol.versions import SUPPORTED
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub

if TYPE_CHECKING:  # the class exists for type checkers alone
    from fedward_protocol.wire.federation_pb2_grpc import FederationAsyncStub

LAST_WORDS_S = 60.0
"""How long a site that cannot take part tries to tell the hub so: longer than a hub's restart takes."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a trainer is started with.

    Attributes:
        plan: the job.
        work_order: the file that holds the signed order; read again at each call, as it may be renewed.
        state: the folder in which everything resumable is kept.
        gateway: host:port.
        gateway_ca: file of the authorities that the gateway's certificate may come from, PEM; it may be replaced.
    """

    plan: Plan
    work_order: Path
    state: Path
    gateway: str
    gateway_ca: Path


@dataclass(frozen=True, slots=True)
class Pace:
    """How a trainer waits."""

    backoff: Backoff = field(default_factory=lambda: jittered(random.random))
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    silence_s: float = SILENCE_S


async def take_part(
    assignment: Assignment, algorithm: Algorithm, pace: Pace | None = None, gpu: Callable[[], Reading] = Reading
) -> None:
    """Take part in the job until it is finished.

    Args:
        assignment: which job.
        algorithm: what trains.
        pace: how to wait.
        gpu: reads the GPU that the algorithm computes on; as it stands there is none to read.

    Raises:
        RefusedError: the site cannot take part (any further); the hub was told so where it did not say it itself.
    """
    order = work_order.read(assignment.work_order.read_bytes())
    logs.bind(job=f"{order.job.namespace}/{order.job.name}", attempt=order.attempt, site=order.site)
    name = gateway_name(order.site, order.federation)
    worker = Worker()
    try:
        async with Way(assignment.gateway, name, assignment.gateway_ca) as way:
            await _take_part(assignment, order, algorithm, pace or Pace(), way, worker, Meter(gpu))
    finally:
        worker.close()


async def _take_part(
    assignment: Assignment,
    order: work_order.Bearer,
    algorithm: Algorithm,
    pace: Pace,
    way: Way,
    worker: Worker,
    meter: Meter,
) -> None:
    plan, job = assignment.plan, pb.JobRef(uid=order.job.uid, attempt=order.attempt)

    def session(cases: Cases) -> Session:
        hello = _hello(plan, job, order.site, cases)
        order_file = OrderFile(assignment.work_order)

        def attend() -> AttendCall:
            stub: FederationAsyncStub = FederationStub(way.channel())
            return stub.Attend(metadata=order_file.show())

        return Session(attend, hello, meter.read, pace.backoff, pace.sleep, pace.silence_s, order_file.judge)

    try:
        cases = await worker.run(algorithm.open, _never())
    except RefusedError as refused:
        _log.error("cannot take part: %s", refused)
        await _leave(session(Cases(0, 0, 0)), refused)
        raise
    _log.info("dataset", extra=asdict(cases))
    attending, order_file = session(cases), OrderFile(assignment.work_order)
    loop = Loop(
        Part(job, order.site, _encoding(plan)),
        algorithm,
        State(assignment.state, plan),
        attending,
        Transfer(way.channel, order_file.show, plan.transport.compression),
        worker,
        meter,
        pace.backoff,
        pace.sleep,
        judge_transfer=order_file.judge,
    )
    try:
        await _follow(attending, loop)
    finally:
        await worker.run(algorithm.close, _never())


async def _follow(attending: Session, loop: Loop) -> None:
    """Run the loop beside the session until either ends; when the loop finds the site unfit, tell the hub."""
    presence, work = asyncio.create_task(attending.run()), asyncio.create_task(loop.run())
    try:
        await asyncio.wait({presence, work}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            presence.result()
            raise AssertionError("a session ends by itself only when it is refused or has said its last words")
        try:
            work.result()
        except RefusedError as refused:
            _log.error("cannot take part any further: %s", refused)
            if not presence.done():
                attending.leave(refused)
                await asyncio.wait({presence}, timeout=LAST_WORDS_S)
            raise
    finally:
        work.cancel()
        presence.cancel()
        await asyncio.gather(work, presence, return_exceptions=True)


async def _leave(attending: Session, refused: RefusedError) -> None:
    """Attend only to say why this site cannot take part."""
    attending.leave(refused)
    presence = asyncio.create_task(attending.run())
    await asyncio.wait({presence}, timeout=LAST_WORDS_S)
    presence.cancel()
    await asyncio.gather(presence, return_exceptions=True)


def _hello(plan: Plan, job: pb.JobRef, site: str, cases: Cases) -> pb.Hello:
    return pb.Hello(
        job=job,
        site=site,
        versions=pb.VersionRange(lowest=SUPPORTED.lowest, highest=SUPPORTED.highest),
        software=f"fedward {importlib.metadata.version('fedward')}",
        training_cases=cases.training,
        validation_cases=cases.validation,
        skipped_cases=cases.skipped,
        plan=plan.canonical(),
    )


def _encoding(plan: Plan) -> Encoding:
    """Choose how the update goes to the gateway: exactly, where its filters are to work on it and encode it anew."""
    return "fp32" if plan.privacy.filters else plan.transport.encoding


def _never() -> threading.Event:
    """Make an event for work that no instruction supersedes."""
    return threading.Event()
