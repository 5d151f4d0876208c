"""When the final evaluation is over: it only measures, so no missing site can hold up or fail a job that is trained."""

from __future__ import annotations

from dataclasses import dataclass

from fedward_protocol.plan import Rounds
from fedward_server.rounds.closing import Attendance, Wait


@dataclass(frozen=True, slots=True)
class Finish:
    """The final evaluation is over."""


def finish(attendance: Attendance, rule: Rounds, opened: float, now: float) -> Finish | Wait:
    """Decide whether the final evaluation is over: all sites, all but those that are gone, or deadline and grace.

    Unlike a round, it ends after deadline and grace without a quorum too, and when all sites have failed.
    """
    missing = attendance.expected - attendance.arrived.keys()
    if missing <= attendance.failed:
        return Finish()
    closes_at = opened + rule.deadline_s + rule.grace_s
    if len(attendance.arrived) >= rule.quorum and all(site in attendance.away for site in missing):
        closes_at = min(closes_at, max(attendance.away[site] for site in missing) + rule.grace_s)
    return Finish() if now >= closes_at else Wait(closes_at)
