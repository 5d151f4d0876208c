"""Runs the job: writes down what happens, does what the decisions say, and tells all who listen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.layout import Layout
from fedward_server import events
from fedward_server.aggregate import Aggregated, check_enough
from fedward_server.attendance import Attendance
from fedward_server.bell import Bell
from fedward_server.clock import Clock
from fedward_server.combining import combine
from fedward_server.journal import Journal
from fedward_server.metrics import Metrics
from fedward_server.models import Models
from fedward_server.rounds.closing import Wait
from fedward_server.rounds.deciding import Aggregate, Happen, Rest, decide
from fedward_server.rounds.state import JobState, apply
from fedward_server.spool import Slot, Spool

STORAGE_RETRY_S = 2.0
"""How soon a write that found no space is tried again."""
INITIAL_MODEL_RETRY_S = 0.1
"""How often the initial model is looked for; the one thing that is polled, because a file rings no bell."""

log = logging.getLogger(__name__)


class Job:
    """One job's state with everything that it takes to move it on.

    The state changes only in `record`, after the event is durable; whoever reads `state` reads what would survive.
    """

    def __init__(
        self,
        state: JobState,
        journal: Journal,
        models: Models,
        spool: Spool,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.state = state
        self.clock = clock
        self.models = models
        self.spool = spool
        self.journal = journal
        self.metrics = metrics
        self.bell = Bell()
        self.attendance = Attendance(state.plan.sites, clock.now())
        self._recording = asyncio.Lock()
        self._layout: Layout | None = None

    @property
    def plan(self) -> Plan:
        """The job's plan."""
        return self.state.plan

    @property
    def layout(self) -> Layout:
        """The global model's tensors; the same in every round. Only once there is a model."""
        if self._layout is None:
            if self.state.latest is None:
                raise RefusedError(Reason.MODEL_UNKNOWN, "the initial model is not there yet")
            self._layout = Layout.parse(self.models.path(self.state.latest.round))
        return self._layout

    async def record(self, happen: Callable[[JobState, float], events.AnyEvent | None]) -> None:
        """Ask `happen` what happens in the current state, make that durable, and only then let it change the state.

        No other event comes in between. `happen` may refuse by raising, and None means nothing happens.

        Raises:
            RefusedError: STORAGE_FULL, or whatever `happen` raises; the state is as before.
        """
        # Shielded: a caller that is cancelled half-way must not leave an event in the journal and not in the state.
        await asyncio.shield(asyncio.ensure_future(self._record(happen)))

    async def run(self, initial: Path) -> None:
        """Move the job on until it is over; `initial` is where the initial model appears."""
        with self.bell.listen() as changed:
            await self._sweep()
            while not self.state.is_over:
                changed.clear()
                try:
                    until = await self._step(initial)
                except RefusedError as error:
                    until = await self._pause_or_fail(error)
                if until is not _AT_ONCE:
                    await self._sleep(changed, until)

    def lost(self, site: str) -> None:
        """Note in log and metrics that a site is no longer there."""
        self.attendance.of(site).losses += 1
        log.warning("site lost", extra={"site": site, "round": self.state.round})

    async def _record(self, happen: Callable[[JobState, float], events.AnyEvent | None]) -> None:
        async with self._recording:
            event = happen(self.state, self.clock.now())
            if event is None:
                return
            await self.journal.append(event)
            self.metrics.storage_full.set(0)
            before, self.state = self.state, apply(self.state, event)
            self.metrics.take(before, event)
        # Who says hello is logged once it attends, and each time it does: a site that comes back says nothing new.
        if not isinstance(event, events.SiteJoined):
            log.info(event.kind, extra=_particulars(event))
        self.bell.ring()

    async def _step(self, initial: Path) -> float | None:
        """Do the next thing; say until when nothing else is to be done, _AT_ONCE to be asked again."""
        now = self.clock.now()
        check_enough(self.plan.aggregation, self.plan.rounds.quorum)
        for site in self.attendance.expire(now):
            self.lost(site)
            self.bell.ring()
        if self.state.latest is None and not await self._adopt(initial):
            return now + INITIAL_MODEL_RETRY_S
        match decide(self.state, self.attendance.presence(), now):
            case Happen():
                await self.record(self._decided)
                return _AT_ONCE
            case Aggregate(closed):
                await self._aggregate(closed)
                return _AT_ONCE
            case Rest():
                return None
            case Wait(until):
                expiry = self.attendance.next_expiry()
                return min((at for at in (until, expiry) if at is not None), default=None)

    def _decided(self, state: JobState, now: float) -> events.AnyEvent | None:
        # Asked again, because the state may have changed since: an update may have come in before the lock was ours.
        decision = decide(state, self.attendance.presence(), now)
        return decision.event if isinstance(decision, Happen) else None

    async def _adopt(self, initial: Path) -> bool:
        if not await asyncio.to_thread(initial.is_file):
            return False
        model = await asyncio.to_thread(self.models.adopt, initial)
        await self.record(lambda _, now: events.ModelMade(at=now, model=model, seconds=0.0, shares={}))
        return True

    async def _aggregate(self, closed: events.RoundClosed) -> None:
        state, started = self.state, self.clock.now()
        updates = [
            (update, self.spool.path(Slot(update.attempt, closed.round, site), update.digest))
            for site, update in ((site, state.arrivals[site]) for site in self.plan.sites if site in closed.counted)
        ]
        # A thread, because a large model takes seconds and heartbeats must be answered; numpy lets go of the GIL.
        made: Aggregated = await asyncio.to_thread(combine, self.plan, closed.round, updates, self.models)
        model = events.Model(round=closed.round, digest=made.model.digest, nbytes=made.model.nbytes)
        seconds = self.clock.now() - started
        await self.record(lambda _, now: events.ModelMade(at=now, model=model, seconds=seconds, shares=made.weights))
        await self._sweep()

    async def _sweep(self) -> None:
        """Delete what no later step needs; nothing depends on it having been done."""
        state = self.state
        if state.latest is not None:
            await asyncio.to_thread(self.models.sweep, state.kept_models, state.latest.round)
            await asyncio.to_thread(self.spool.sweep, state.kept_rounds)

    async def _pause_or_fail(self, error: RefusedError) -> float:
        if error.reason is Reason.STORAGE_FULL:
            self.metrics.storage_full.set(1)
            log.error("no space left, trying again", extra={"detail": error.detail})
            return self.clock.now() + STORAGE_RETRY_S
        await self.record(lambda _, now: events.JobFailed(at=now, reason=error.reason, message=error.detail))
        return _AT_ONCE

    async def _sleep(self, changed: asyncio.Event, until: float | None) -> None:
        if until is None:
            await changed.wait()
            return
        alarm = self.clock.call_at(until, changed.set)
        await changed.wait()
        alarm.cancel()


_AT_ONCE = float("-inf")


def _particulars(event: events.AnyEvent) -> dict[str, object]:
    """Pick what is worth a log line; no metrics, no digests."""
    found: dict[str, object] = {}
    if isinstance(event, events.ModelMade):
        return {"round": event.model.round, "nbytes": event.model.nbytes, "seconds": round(event.seconds, 3)}
    for name in ("site", "round", "attempt", "reason", "message", "nbytes", "samples", "why", "missing", "seconds"):
        value = getattr(event, name, None)
        if value not in (None, ()):
            found[name if name != "message" else "detail"] = value
    return found
