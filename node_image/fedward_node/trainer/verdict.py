"""What a refusal means to a trainer: try again, wait for the next instruction, or leave the job for good."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from fedward_protocol.reasons import Reason


class Verdict(Enum):
    """What to do after a refusal."""

    RETRY = "retry"
    """The same again later: what failed can be mended without this trainer."""
    NEXT = "next"
    """This round's work is lost; the next instruction is another chance."""
    LEAVE = "leave"
    """The site cannot take part in this job any further."""


_RETRY = frozenset(
    {
        Reason.HUB_UNREACHABLE,
        Reason.AUDIT_FAILED,
        Reason.STORAGE_FULL,
        Reason.PLAN_UNKNOWN,
        Reason.WRONG_DIGEST,
        Reason.WRONG_OFFSET,
    }
)
_NEXT = frozenset(
    {
        Reason.WRONG_ROUND,
        Reason.ROUND_CLOSED,
        Reason.ALREADY_SUBMITTED,
        Reason.WRONG_MODEL,
        Reason.MODEL_UNKNOWN,
        Reason.WRONG_SHAPE,
        Reason.NOT_FINITE,
        Reason.TOO_LARGE,
        Reason.MALFORMED,
        Reason.BAD_SAMPLE_COUNT,
        Reason.BAD_METRICS,
        Reason.FILTER_FAILED,
    }
)


def judge(reason: Reason) -> Verdict:
    """Decide what a refusal with this reason means to the trainer that met it."""
    if reason in _RETRY:
        return Verdict.RETRY
    return Verdict.NEXT if reason in _NEXT else Verdict.LEAVE


Judge = Callable[[Reason], Verdict]
"""Decides what a refusal means, perhaps knowing more than its reason."""
