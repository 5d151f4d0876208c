"""The aggregator's clock: Unix time that never runs backwards, and alarms instead of polling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Alarm(Protocol):
    """A call that is due at some time and can be called off."""

    def cancel(self) -> None:
        """Call it off; it does no harm after the time."""


class Clock(Protocol):
    """Where the time comes from; tests bring one that they move by hand."""

    def now(self) -> float:
        """Give the time in Unix seconds."""

    def call_at(self, when: float, callback: Callable[[], object]) -> Alarm:
        """Call `callback` on the event loop at `when`, in Unix seconds."""


class SystemClock:
    """Wall time read once, then carried on by the monotonic clock: setting the wall clock moves no deadline.

    `not_before` is the last instant in the journal: should the wall clock have been set back while the process was
    down, the time goes on from there, so that no round gets longer and events stay in order.
    """

    def __init__(self, not_before: float) -> None:
        self._offset = max(time.time(), not_before) - time.monotonic()

    def now(self) -> float:
        """Give the time in Unix seconds."""
        return self._offset + time.monotonic()

    def call_at(self, when: float, callback: Callable[[], object]) -> Alarm:
        """Call `callback` on the running event loop at `when`, in Unix seconds."""
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), callback)
