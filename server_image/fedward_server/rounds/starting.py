"""When round 1 opens: once every site is there, or a quorum of them when the first deadline has passed."""

from __future__ import annotations

from dataclasses import dataclass

from fedward_protocol.plan import Rounds
from fedward_server.rounds.closing import QuorumLost, Wait


@dataclass(frozen=True, slots=True)
class Start:
    """Round 1 opens now."""


def start(
    expected: frozenset[str], attending: frozenset[str], failed: frozenset[str], rule: Rounds, since: float, now: float
) -> Start | QuorumLost | Wait:
    """Decide whether round 1 opens; `since` is when the sites were first awaited, in Unix seconds like `now`.

    A site that has failed is not waited for.
    """
    left = expected - failed
    if len(left) < rule.quorum:
        return QuorumLost(len(left))
    there = attending & left
    if there == left:
        return Start()
    deadline = since + rule.deadline_s
    if now < deadline:
        return Wait(deadline)
    return Start() if len(there) >= rule.quorum else Wait(None)
