"""Attend: lets a site in, hears what it reports, and tells it what it should be doing whenever that changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.refusals import abort, to_message
from fedward_protocol.versions import SUPPORTED, negotiate
from fedward_protocol.wire import federation_pb2 as pb
from fedward_server import events
from fedward_server.admission import check_belongs, check_job, check_metrics
from fedward_server.attendance import HEARTBEAT_S, Session
from fedward_server.job import Job
from fedward_server.messages import instruction_message, read_metrics
from fedward_server.rounds.instructing import Abort, Finish, instruction_for
from fedward_server.rounds.state import JobState, Phase
from fedward_server.service.refusing import Context, check_site, note

_LONGEST_TEXT = 200

log = logging.getLogger(__name__)


async def attend(job: Job, messages: AsyncIterator[pb.SiteMessage], context: Context) -> AsyncGenerator[pb.HubMessage]:
    """Serve one site's stream, from its hello until either end closes it."""
    hello = await _first(messages)
    try:
        check_site(job, context, hello.site)
    except RefusedError as error:
        note(job, error, hello.site, "Attend")
        await abort(context, error)
    try:
        version = _check_hello(hello, job.state)
        await job.record(lambda state, now: _joined(hello, state, now))
    except RefusedError as error:
        note(job, error, hello.site, "Attend")
        yield pb.HubMessage(abort=to_message(error))
        return
    session = job.attendance.attend(hello.site, job.clock.now())
    job.bell.ring()
    log.info("site attends", extra=_particulars(hello, job.state))
    hearing = asyncio.create_task(_hear(job, session, messages))
    try:
        yield pb.HubMessage(
            welcome=pb.Welcome(version=version, attempt=job.state.attempt, heartbeat_seconds=HEARTBEAT_S)
        )
        async for message in _instruct(job, session):
            yield message
    finally:
        hearing.cancel()
        if job.attendance.of(hello.site).session is session:
            job.attendance.leave(session, job.clock.now())
            if not job.state.is_over and hello.site not in job.state.dismissed_sites:
                job.lost(hello.site)
        job.bell.ring()


async def _first(messages: AsyncIterator[pb.SiteMessage]) -> pb.Hello:
    async for message in messages:
        return message.hello
    return pb.Hello()


def _particulars(hello: pb.Hello, state: JobState) -> dict[str, object]:
    counts = {"training": hello.training_cases, "validation": hello.validation_cases, "skipped": hello.skipped_cases}
    return {"site": hello.site, "round": state.round, **counts, "software": hello.software[:_LONGEST_TEXT]}


def _check_hello(hello: pb.Hello, state: JobState) -> int:
    check_job(hello.job, state)
    return negotiate(SUPPORTED, hello.versions)


def _joined(hello: pb.Hello, state: JobState, now: float) -> events.SiteJoined | None:
    """Say what a hello changes: nothing, when the site says what it said before."""
    check_belongs(hello.site, state)
    check_job(hello.job, state)
    cases = events.Cases(training=hello.training_cases, validation=hello.validation_cases, skipped=hello.skipped_cases)
    site = state.sites[hello.site]
    if site.cases == cases and site.failure is None:
        return None
    return events.SiteJoined(at=now, site=hello.site, cases=cases, software=hello.software[:_LONGEST_TEXT])


async def _instruct(job: Job, session: Session) -> AsyncIterator[pb.HubMessage]:
    """Yield the instruction whenever it changes, and heartbeats in between; end with the session, or after an abort."""
    told = None
    beat_at = job.clock.now() + HEARTBEAT_S
    with job.bell.listen() as changed:
        while not session.over.is_set():
            changed.clear()
            instruction = instruction_for(job.state, session.site)
            if instruction != told:
                yield instruction_message(instruction)
                told = instruction
                if isinstance(instruction, Finish):
                    session.finished = True
                if isinstance(instruction, Abort):
                    return
                continue
            if job.clock.now() >= beat_at:
                yield pb.HubMessage(heartbeat=pb.Heartbeat())
                beat_at = job.clock.now() + HEARTBEAT_S
            alarm = job.clock.call_at(beat_at, changed.set)
            try:
                await changed.wait()
            finally:
                alarm.cancel()


async def _hear(job: Job, session: Session, messages: AsyncIterator[pb.SiteMessage]) -> None:
    """Take in what the site says until it says no more; then its session is over."""
    try:
        async for message in messages:
            job.attendance.hear(session.site, job.clock.now())
            try:
                await _take(job, session, message)
            except RefusedError as error:
                note(job, error, session.site, "Attend")
    finally:
        session.over.set()
        job.bell.ring()


async def _take(job: Job, session: Session, message: pb.SiteMessage) -> None:
    match message.WhichOneof("body"):
        case "progress":
            job.attendance.of(session.site).progress = message.progress
        case "evaluation":
            check_metrics(message.evaluation.metrics)
            await job.record(lambda state, now: _evaluated(session.site, message.evaluation, state, now))
        case "failure":
            await job.record(lambda state, now: _failed(session.site, message.failure, state, now))
        case _:
            pass


def _evaluated(site: str, evaluation: pb.Evaluation, state: JobState, now: float) -> events.SiteEvaluated | None:
    """Say what an evaluation adds: nothing, unless it is this site's first of the last model while that is awaited."""
    check_belongs(site, state)
    if state.phase is not Phase.EVALUATING or site in state.evaluations:
        return None
    if state.latest is None or evaluation.model_digest != state.latest.digest:
        raise RefusedError(Reason.WRONG_MODEL, "an evaluation of another model than the last")
    return events.SiteEvaluated(
        at=now,
        site=site,
        round=state.latest.round,
        metrics=read_metrics(evaluation.metrics),
        seconds=evaluation.evaluate_seconds,
    )


def _failed(site: str, failure: pb.Refusal, state: JobState, now: float) -> events.SiteFailed | None:
    if state.is_over or state.sites[site].reason_gone is not None:
        return None
    # A newer site may know reasons that this end does not. And by SITE_REVOKED the hub knows whom it need not dismiss
    # any more, so that no site may say it of itself.
    counts = failure.reason in Reason.__members__.values() and failure.reason != Reason.SITE_REVOKED
    reason = Reason(failure.reason) if counts else Reason.TRAINING_FAILED
    return events.SiteFailed(at=now, site=site, reason=reason, message=failure.message[:_LONGEST_TEXT])
