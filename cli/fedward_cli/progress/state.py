"""A job at one moment, read off a FederatedJob or off the folder of a local run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from fedward_operator.policy.conditions import show_time


@dataclass(frozen=True, slots=True)
class SiteProgress:
    """One site's part; `value` is the job's metric on this site's cases, of the last model that it evaluated."""

    name: str
    state: str
    reason: str = ""
    message: str = ""
    round: int = 0
    value: float | None = None

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        said = {"name": self.name, "state": self.state, "reason": self.reason or None, "message": self.message or None}
        return {**said, "round": self.round, "value": self.value}


@dataclass(frozen=True, slots=True)
class Progress:
    """A job.

    Attributes:
        state: in one word, how it goes.
        message: why, in a sentence.
        round: the open round, or the last one.
        metric: by which the best model is kept; higher is better.
        value: the metric of the last model that was evaluated.
        started: when this attempt started.
        outcome: how it ended; None while it goes on.
        values: the metric by round, as far as its source still knows.
        closed: when each round closed, as far as its source still knows.
    """

    name: str
    namespace: str
    state: str
    message: str
    round: int
    rounds: int
    attempt: int
    metric: str
    value: float | None
    started: datetime | None
    sites: tuple[SiteProgress, ...]
    outcome: Literal["Completed", "Failed", "Stopped"] | None = None
    values: Mapping[int, float] = field(default_factory=dict)
    closed: Mapping[int, datetime] = field(default_factory=dict)

    @property
    def rounds_done(self) -> int:
        """How many rounds have closed."""
        return self.rounds if self.outcome == "Completed" else max(0, self.round - 1)

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        return {
            "name": self.name,
            "namespace": self.namespace,
            "state": self.state,
            "message": self.message or None,
            "round": self.round,
            "rounds": self.rounds,
            "attempt": self.attempt,
            "metric": self.metric,
            "value": self.value,
            "started": show_time(self.started) if self.started else None,
            "outcome": self.outcome,
            "sites": [each.document() for each in self.sites],
        }
