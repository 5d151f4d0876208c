"""What the aggregator does next: one decision from the job's state, who is there, and the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from fedward_protocol.reasons import Reason
from fedward_server import events
from fedward_server.rounds.closing import Attendance, Close, QuorumLost, Wait, close
from fedward_server.rounds.finishing import Finish, finish
from fedward_server.rounds.starting import Start, start
from fedward_server.rounds.state import JobState, Phase


@dataclass(frozen=True, slots=True)
class Presence:
    """Who is there right now; every other site of the plan is away since an instant, in Unix seconds."""

    attending: frozenset[str]
    away: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Happen:
    """This happens now: write it down, then decide again."""

    event: events.AnyEvent


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The closed round's updates are to be made into the next model."""

    closed: events.RoundClosed


@dataclass(frozen=True, slots=True)
class Rest:
    """The job is over."""


Decision = Happen | Aggregate | Rest | Wait


def decide(state: JobState, presence: Presence, now: float) -> Decision:
    """Decide what comes next; the answer depends on nothing but the arguments, so it may be asked at any time."""
    if state.is_over:
        return Rest()
    limit = state.plan.active_deadline_s
    ends_at = None if limit is None else state.started_at + limit
    if ends_at is not None and now >= ends_at:
        return Happen(events.JobFailed(at=now, reason=Reason.DEADLINE_EXCEEDED, message=f"{limit:g} s have passed"))
    match state.phase:
        case Phase.WAITING:
            decision = _decide_start(state, presence, now)
        case Phase.TRAINING:
            decision = _decide_close(state, presence, now)
        case Phase.EVALUATING:
            decision = _decide_finish(state, presence, now)
        case _:
            return Aggregate(_closed(state))
    return Wait(_earlier(decision.until, ends_at)) if isinstance(decision, Wait) else decision


def quorum_reached(state: JobState) -> bool:
    """Say whether what has arrived in this round is enough to close it."""
    return len(state.arrivals) >= state.plan.rounds.quorum


def _decide_start(state: JobState, presence: Presence, now: float) -> Decision:
    if state.latest is None:
        return Wait(None)
    expected, failed = frozenset(state.expected_sites), frozenset(state.failed_sites)
    verdict = start(expected, presence.attending, failed, state.plan.rounds, state.opened_at, now)
    match verdict:
        case Start():
            return Happen(events.TrainingStarted(at=now))
        case QuorumLost():
            return Happen(_quorum_lost(state, verdict, now))
        case Wait():
            return verdict


def _decide_close(state: JobState, presence: Presence, now: float) -> Decision:
    attendance = _attendance(state, {site: update.at for site, update in state.arrivals.items()}, presence)
    verdict = close(attendance, state.plan.rounds, state.opened_at, now)
    match verdict:
        case Close():
            counted = {site: state.arrivals[site].digest for site in state.plan.sites if site in state.arrivals}
            missing = tuple(site for site in state.expected_sites if site not in counted)
            return Happen(
                events.RoundClosed(at=now, round=state.round, counted=counted, missing=missing, why=verdict.why)
            )
        case QuorumLost():
            return Happen(_quorum_lost(state, verdict, now))
        case Wait():
            return verdict


def _decide_finish(state: JobState, presence: Presence, now: float) -> Decision:
    attendance = _attendance(state, {site: done.at for site, done in state.evaluations.items()}, presence)
    verdict = finish(attendance, state.plan.rounds, state.opened_at, now)
    match verdict:
        case Finish():
            missing = tuple(site for site in state.expected_sites if site not in state.evaluations)
            return Happen(events.JobCompleted(at=now, missing=missing))
        case Wait():
            return verdict


def _attendance(state: JobState, arrived: Mapping[str, float], presence: Presence) -> Attendance:
    failed = state.failed_sites
    away: dict[str, float] = {}
    for site, since in chain(presence.away.items(), failed.items()):
        away[site] = min(since, away.get(site, since))
    return Attendance(frozenset(state.expected_sites), arrived, away, frozenset(failed))


def _quorum_lost(state: JobState, verdict: QuorumLost, now: float) -> events.JobFailed:
    gone = ((name, site.reason_gone) for name, site in state.sites.items())
    names = ", ".join(f"{name} ({reason})" for name, reason in gone if reason is not None)
    message = (
        f"{verdict.left} of {len(state.plan.sites)} sites are left, the quorum is {state.plan.rounds.quorum}: {names}"
    )
    return events.JobFailed(at=now, reason=Reason.QUORUM_LOST, message=message[:1024])


def _closed(state: JobState) -> events.RoundClosed:
    if state.closed is None:
        raise AssertionError("an aggregating job has a closed round")
    return state.closed


def _earlier(first: float | None, second: float | None) -> float | None:
    return min((at for at in (first, second) if at is not None), default=None)
