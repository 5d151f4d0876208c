"""When a round closes: at full attendance, or by quorum once the missing sites are gone or the deadline has passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fedward_protocol.plan import Rounds


@dataclass(frozen=True, slots=True)
class Attendance:
    """Who is expected in a round (not who was dismissed), who has delivered and when, and who is gone; Unix seconds."""

    expected: frozenset[str]
    arrived: Mapping[str, float]
    away: Mapping[str, float]
    """Sites that are lost or have failed, and since when."""
    failed: frozenset[str]
    """Those of them that will not come back."""


@dataclass(frozen=True, slots=True)
class Close:
    """The round closes now."""

    why: str


@dataclass(frozen=True, slots=True)
class QuorumLost:
    """Too few sites are left for the round ever to close."""

    left: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to decide before `until`, unless something happens; None: only something happening can help."""

    until: float | None


def close(attendance: Attendance, rule: Rounds, opened: float, now: float) -> Close | QuorumLost | Wait:
    """Decide whether the round closes now; a Wait says until when, so that the caller sleeps instead of polling."""
    arrived = attendance.arrived
    missing = attendance.expected - arrived.keys()
    left = len(attendance.expected - (attendance.failed - arrived.keys()))
    if left < rule.quorum:
        return QuorumLost(left)
    if not missing:
        return Close("every site has delivered")
    deadline = opened + rule.deadline_s
    if len(arrived) < rule.quorum:
        return Wait(deadline if now < deadline else None)
    quorum_at = sorted(arrived.values())[rule.quorum - 1]
    closes_at = max(deadline, quorum_at) + rule.grace_s
    why = "the deadline has passed and the quorum is met"
    if all(site in attendance.away for site in missing):
        gone_at = max(attendance.away[site] for site in missing) + rule.grace_s
        if gone_at <= closes_at:
            closes_at, why = gone_at, "the missing sites are gone and the quorum is met"
    return Close(why) if now >= closes_at else Wait(closes_at)
