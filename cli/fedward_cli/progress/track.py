"""What was seen of a job over time: its metric round by round, and how long it will go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from fedward_cli.progress.state import Progress

_BLOCKS = "▁▂▃▄▅▆▇█"
_HALF_A_ROUND = 0.5


class Track:
    """Gathers moments of one job: a FederatedJob's status holds the last only."""

    def __init__(self) -> None:
        self.values: dict[int, float] = {}
        self._closed: dict[int, datetime] = {}
        self._last: Progress | None = None

    def take(self, progress: Progress, now: datetime) -> None:
        """Take in how the job is now."""
        last = self._last
        if last is not None and last.attempt != progress.attempt:
            # Another attempt's rounds begin when they do: the time between is no round's.
            self._closed = {}
        elif last is not None and progress.round == last.round + 1:
            self._closed[last.round] = now
        self._closed |= progress.closed
        self.values |= progress.values
        if progress.value is not None and not progress.values:
            self.values[progress.round] = progress.value
        self._last = progress

    def remaining(self, progress: Progress, now: datetime) -> timedelta | None:
        """Estimate the time to the end of the last round; None where nothing is known to go by."""
        left = progress.rounds - progress.rounds_done
        if progress.outcome or progress.round < 1 or left <= 0:
            return None
        spans = [(after - before).total_seconds() for (_, before), (_, after) in pairwise(sorted(self._closed.items()))]
        if spans:
            pace, opened = timedelta(seconds=median(spans)), max(self._closed.values())
            # A round that takes longer than the others has taken its share, and not that of those to come.
            return pace * left - min(now - opened, pace)
        # Since a job was resumed, more rounds are done than it has had time for.
        if progress.started is None or progress.attempt > 1 or not progress.rounds_done:
            return None
        return (now - progress.started) / (progress.rounds_done + _HALF_A_ROUND) * (left - _HALF_A_ROUND)

    def sparkline(self, width: int = 30) -> str:
        """Draw the metric's last values, from their lowest to their highest."""
        return draw([value for _, value in sorted(self.values.items())][-width:])


def draw(values: Sequence[float]) -> str:
    """Draw values as a line of blocks."""
    if not values:
        return ""
    low, span = min(values), max(values) - min(values)
    steps = (round((value - low) / span * (len(_BLOCKS) - 1)) if span else 0 for value in values)
    return "".join(_BLOCKS[step] for step in steps)
