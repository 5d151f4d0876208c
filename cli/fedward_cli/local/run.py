"""A whole local run: from documents to a result, every process started, watched and stopped."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fedward_cli.documents import Documents
from fedward_cli.local import credentials, delivery, extras, federation, orders, settings
from fedward_cli.local.attempt import Attempt, begin
from fedward_cli.local.charts import Charts
from fedward_cli.local.commands import TRAINER, Addresses, Commands
from fedward_cli.local.folder import Folder, locked
from fedward_cli.local.history import History
from fedward_cli.local.metrics_page import MetricsPage
from fedward_cli.local.observe import observe
from fedward_cli.local.outcome import Ending, result_of
from fedward_cli.local.ports import Ports
from fedward_cli.local.processes import Backoff, Supervisor
from fedward_cli.local.tracker import Tracker
from fedward_cli.local.view import Silent, View
from fedward_cli.problems import InputError
from fedward_cli.problems import Problem as InputProblem
from fedward_cli.results import RESULT, Problem, Result, read_result, write_record
from fedward_protocol.wire import federation_pb2 as pb

_NOTHING_ELSE = extras.Extras()


def run_local(
    documents: Documents,
    out: Path,
    *,
    trainer_command: Sequence[str] = TRAINER,
    view: View | None = None,
    wanted: extras.Extras = _NOTHING_ELSE,
    metrics: MetricsPage | None = None,
) -> Result:
    """Run a job on this machine, or go on with one that was stopped, and return how it ended.

    Ctrl-C (or SIGTERM) stops everything cleanly, and the result's state is `Stopped`; a second one kills.

    Args:
        documents: the job, its sites and their policies.
        out: the folder for everything; one that holds the same plan already is gone on with.
        trainer_command: the program that is the trainer, before its subcommand; tests and benchmarks bring their own.
        view: whom to tell how it goes.
        wanted: what to make besides the model.
        metrics: the page that is to follow the processes.

    Raises:
        InputError: a setting in the environment is none that there is, the folder is in use or holds another plan, a
            dataset's folder is not there, or the job wants to be tracked and what that takes is not installed.
    """
    settings.check(os.environ)
    _check_data(documents)
    folder, view = Folder(out), view or Silent()
    tracker = Tracker(folder, documents.job.spec.tracking, view.say)
    try:
        with locked(folder):
            before = _completed(folder, documents)
            attempt = before.attempt if before else begin(folder, documents)
            tracker.start()
            running = _supervised(
                folder, documents, attempt, before, tuple(trainer_command), view, wanted, metrics or MetricsPage()
            )
            result = asyncio.run(running)
        # The folder is free now, which tells the tracker that there is nothing more to come.
        tracker.finish()
        return result
    finally:
        tracker.kill()
        view.close()


@dataclass(frozen=True, slots=True)
class _Completed:
    """A run that had been completed in this folder before."""

    attempt: Attempt
    result: Result


@dataclass(frozen=True, slots=True)
class _Run:
    """What every step of a run needs."""

    folder: Folder
    documents: Documents
    attempt: Attempt
    trainer: tuple[str, ...]
    view: View
    history: History
    charts: Charts
    supervisor: Supervisor
    metrics: MetricsPage
    started_at: datetime

    def write(self, ending: Ending) -> Result:
        """Write `result.json` as things stand."""
        result = result_of(self.attempt, self.history, self.started_at, ending)
        write_record(self.folder.out / RESULT, result)
        return result

    def take(self, observation: pb.Observation) -> None:
        """Take in what the aggregator says."""
        closed = self.history.take(observation)
        self.charts.add(self.history.records, closed)
        if closed:
            self.write(Ending("Running"))
        self.view.observed(self.history, closed)

    async def federate(self) -> Result:
        """Train the federation, and deliver its model."""
        plan = self.attempt.plan
        with Ports() as ports:
            addresses = Addresses(
                ports.reserve(),
                {site: ports.reserve() for site in plan.sites},
                {name: ports.reserve() for name in ("aggregator", *(f"gateway-{site}" for site in plan.sites))},
            )
            self.metrics.follow(addresses.metrics.values())
            now = datetime.now(UTC)
            hub = credentials.issue(self.folder, plan, now)
            orders.write_orders(self.folder, self.documents, self.attempt, addresses.aggregator, now)
            commands = Commands(self.folder, self.attempt, addresses, self.trainer, os.cpu_count() or 1)
            self.write(Ending("Running"))
            has_model = await asyncio.to_thread(self.folder.initial.exists)
            observing = asyncio.ensure_future(
                observe(addresses.aggregator, lambda: hub, plan, self.attempt.number, self.take, random.random)
            )
            verdict = await federation.run(
                plan, commands, self.supervisor, observing, self.documents.data_folder, has_model=has_model
            )
        self.metrics.follow(())  # the ports may be anybody's now
        if not verdict.completed:
            failure = verdict.failure or _failure_of(self.history.status)
            return self.write(Ending("Failed", datetime.now(UTC), failure, verdict.problems))
        parameters = await asyncio.to_thread(delivery.deliver, self.folder, plan, self.history.status)
        return self.write(Ending("Completed", datetime.now(UTC), None, verdict.problems, parameters))


async def _supervised(
    folder: Folder,
    documents: Documents,
    attempt: Attempt,
    before: _Completed | None,
    trainer: tuple[str, ...],
    view: View,
    wanted: extras.Extras,
    metrics: MetricsPage,
) -> Result:
    """Run the federation unless it has been, then the extras; a signal stops either."""
    backoff = Backoff(documents.job.spec.backoff_limit)
    if before:
        view.say(f"{attempt.plan.job.name}: completed before; the model is {folder.model}")
    else:
        view.started(attempt)
    with Supervisor(backoff, random.random, lambda crash: view.crashed(crash, folder.tail(crash.name))) as supervisor:
        started_at = datetime.now(UTC)
        charts = Charts(folder.out, attempt.plan, view.say)
        charts.catch_up(is_over=before is not None)
        history = History(folder.out)
        run = _Run(folder, documents, attempt, trainer, view, history, charts, supervisor, metrics, started_at)

        async def work() -> Result:
            result = before.result if before else await run.federate()
            if result.state == "Completed":
                charts.catch_up(is_over=True)
                sites = {site: documents.data_folder(site) for site in attempt.plan.sites}
                await extras.add(wanted, folder, attempt.plan, sites, trainer, supervisor, view.say)
            return result

        working = asyncio.ensure_future(work())
        with _interrupted_by_signals(working.cancel, supervisor.kill):
            try:
                return await working
            except asyncio.CancelledError:
                if run.history.status.state == "Completed" or before:
                    # The model was there; it is the extras that were interrupted.
                    return read_result(folder.out).model_copy(update={"state": "Stopped"})
                return run.write(Ending("Stopped", datetime.now(UTC)))


@contextmanager
def _interrupted_by_signals(stop: Callable[[], object], kill: Callable[[], None]) -> Iterator[None]:
    """Stop at the first signal that asks for it, kill at the second."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, asked = asyncio.get_running_loop(), False

    def interrupt() -> None:
        nonlocal asked
        (kill if asked else stop)()
        asked = True

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _check_data(documents: Documents) -> None:
    missing = [site for site in documents.plan().sites if not documents.data_folder(site).is_dir()]
    if missing:
        raise InputError(
            InputProblem(str(documents.file), (), f'site "{site}" has no folder {documents.data_folder(site)}')
            for site in missing
        )


def _completed(folder: Folder, documents: Documents) -> _Completed | None:
    """Look for a run of this very plan that was completed here."""
    try:
        result = read_result(folder.out)
    except (OSError, InputError):
        return None
    if result.state != "Completed":
        return None
    attempt = begin(folder, documents, again=False)
    return _Completed(attempt, result) if result.plan_digest == attempt.plan.digest().hex() else None


def _failure_of(status: pb.JobStatus) -> Problem:
    return Problem(reason=status.failure.reason or "Unknown", detail=status.failure.message, round=status.round)
