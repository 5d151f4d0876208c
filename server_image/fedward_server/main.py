"""The aggregator's process: one job, from its plan to its last model."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fedward_protocol import logs, probes, scraping
from fedward_protocol.allocation import keep_chunk_buffers
from fedward_protocol.certificate import CertificateFolder
from fedward_protocol.last_word import leave_word
from fedward_protocol.plan import Plan
from fedward_protocol.server import Server
from fedward_protocol.tracing.exporting import exporting
from fedward_server import events
from fedward_server.clock import SystemClock
from fedward_server.job import Job
from fedward_server.journal import Journal, JournalError
from fedward_server.metrics import Metrics
from fedward_server.models import Models
from fedward_server.rounds.state import JobState, Phase, replay
from fedward_server.service import Aggregator
from fedward_server.spool import Spool
from fedward_server.tracing import traced

COMPLETED, UNREADY, FAILED, STOPPED = 0, 1, 3, 143
"""Exit codes. After UNREADY (a port is taken, the journal cannot be read) another start may help; 143 is a shell's for
what SIGTERM ended."""

LINGER_S = 10.0
"""How long the sites and the hub have, after the job's end, to hear of it and to fetch the model."""

_STOP_S = 1.0

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The aggregator cannot start from what it was given."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the job and return the exit code."""
    chosen = _parser().parse_args(arguments)
    logs.configure("aggregator")
    keep_chunk_buffers()
    try:
        return asyncio.run(_serve(chosen))
    except StartError as error:
        _log.critical(str(error))
        return FAILED
    except (JournalError, scraping.UnusableError) as error:
        _log.critical(str(error))
        return UNREADY
    except probes.ListenError as error:
        _log.critical("%s; free the port, or name another with --metrics", error)
        return UNREADY


async def _serve(chosen: argparse.Namespace) -> int:
    stopped, secured = asyncio.Event(), scraping.read_arguments(chosen)
    for kind in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(kind, stopped.set)
    plan = Plan.parse(chosen.plan.read_bytes())
    job_name = f"{plan.job.namespace}/{plan.job.name}"
    logs.bind(job=job_name, attempt=chosen.attempt)
    chosen.state.mkdir(parents=True, exist_ok=True)
    async with Journal(chosen.state / "journal.db") as journal:
        history = await journal.open()
        _check_plan(plan, history)
        metrics = Metrics(plan)
        state = replay(plan, history, metrics.take)
        clock = SystemClock(state.last_event_at)
        job = Job(state, journal, Models(chosen.state / "models"), Spool(chosen.state / "spool"), clock, metrics)
        await job.record(lambda now_state, now: _attempt(now_state, chosen.attempt, plan, now))
        service, certificates = Aggregator(job), CertificateFolder(chosen.tls)
        metrics.watch_job(job)
        metrics.watch_host(chosen.state, job.spool.nbytes, lambda: certificates.current().x509.not_valid_after_utc)
        server = Server(service.handler(), certificates, chosen.listen, require_client=True)
        with (
            probes.serve(chosen.metrics, metrics.registry, lambda: _obstacle(job, certificates), secured=secured),
            exporting("fedward-aggregator", os.environ) as sink,
        ):
            async with traced(job, sink):
                await server.start()
                _log.info("serving", extra={"job": job_name, "attempt": chosen.attempt, "listen": chosen.listen})
                code = await _until_over(job, service, chosen.initial or chosen.state / "initial.safetensors", stopped)
                await server.stop(_STOP_S)
    if code == FAILED and job.state.failure is not None:
        leave_word(f"{job.state.failure.reason}: {job.state.failure.message}")
    _log.info("stopped", extra={"state": job.state.phase.value, "exit": code})
    return code


async def _until_over(job: Job, service: Aggregator, initial: Path, stopped: asyncio.Event) -> int:
    async def run() -> None:
        await job.run(initial)
        await _linger(job, service)

    running, stopping = asyncio.create_task(run()), asyncio.create_task(stopped.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return STOPPED
    running.result()
    return COMPLETED if job.state.phase is Phase.COMPLETED else FAILED


async def _linger(job: Job, service: Aggregator) -> None:
    """Wait until the sites and an observer know how it ended, but not for ever."""
    ends_at = job.clock.now() + LINGER_S
    with job.bell.listen() as changed:
        while job.clock.now() < ends_at:
            changed.clear()
            if not job.attendance.presence().attending and service.was_seen_to_the_end.is_set():
                return
            alarm = job.clock.call_at(ends_at, changed.set)
            await changed.wait()
            alarm.cancel()


def _check_plan(plan: Plan, history: list[events.AnyEvent]) -> None:
    known = [event.plan for event in history if isinstance(event, events.AttemptStarted)]
    if known and known[-1] != plan.digest():
        raise StartError("the state folder belongs to another plan; give this one a folder of its own")


def _attempt(state: JobState, attempt: int, plan: Plan, now: float) -> events.AttemptStarted | None:
    if attempt < state.attempt:
        raise StartError(f"this is attempt {attempt}, and the job has been at attempt {state.attempt}")
    if attempt == state.attempt:
        return None
    return events.AttemptStarted(at=now, attempt=attempt, plan=plan.digest())


def _obstacle(job: Job, certificates: CertificateFolder) -> str | None:
    if job.state.latest is None:
        return "waiting for the initial model"
    return certificates.current().obstacle(datetime.now(UTC))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fedward-aggregator", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True, help="the job's plan, JSON")
    parser.add_argument("--attempt", type=int, required=True, help="rises each time the job is started anew")
    parser.add_argument("--state", type=Path, required=True, help="folder of the journal, the updates and the models")
    parser.add_argument("--initial", type=Path, help="where the first model appears; in the state folder by default")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where gateways connect")
    parser.add_argument("--metrics", required=True, metavar="HOST:PORT", help="where probes and Prometheus connect")
    scraping.add_arguments(parser)
    parser.add_argument("--tls", type=Path, required=True, help="folder of tls.crt, tls.key and ca.crt")
    return parser
