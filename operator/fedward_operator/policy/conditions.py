"""Conditions: what is said of a resource now, joined with what was said before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition, without its times."""

    type: str
    holds: bool | None
    reason: str
    message: str = ""

    @property
    def status(self) -> str:
        """As conditions say it."""
        return "Unknown" if self.holds is None else str(self.holds)


def join(
    before: Iterable[Mapping[str, Any]], findings: Sequence[Finding], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """Make the list of conditions; one whose status did not change keeps its time."""
    known = {each["type"]: each for each in before}
    joined = []
    for finding in findings:
        old = known.get(finding.type)
        since = old["lastTransitionTime"] if old and old["status"] == finding.status else show_time(now)
        joined.append(
            {
                "type": finding.type,
                "status": finding.status,
                "observedGeneration": generation,
                "lastTransitionTime": since,
                "reason": finding.reason,
                "message": finding.message[:_LONGEST],
            }
        )
    return joined


def find(conditions: Iterable[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    """Return the condition of a type, if it is there."""
    return next((each for each in conditions if each["type"] == kind), None)


def holds(conditions: Iterable[Mapping[str, Any]], kind: str) -> bool:
    """Tell whether a condition is there and true."""
    condition = find(conditions, kind)
    return condition is not None and condition["status"] == "True"


def show_time(time: datetime) -> str:
    """Write an instant as Kubernetes does, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_time(text: str | None) -> datetime | None:
    """Read an instant as Kubernetes writes it, with or without a fraction."""
    return datetime.fromisoformat(text) if text else None
