"""What the gauges are read from: the job's state and its attendance, as they are at the moment of a scrape."""

from __future__ import annotations

from typing import Protocol

from fedward_server.attendance import Attendance
from fedward_server.rounds.state import JobState


class Watched(Protocol):
    """A job, for a scrape that comes from another thread than the event loop's.

    Safe without a lock: a state is immutable and replaced as a whole, so a reader takes it once and keeps to it; the
    attendance never gains or loses a site, and each of its fields is a number or is replaced as a whole.
    """

    @property
    def state(self) -> JobState:
        """What the journal says."""

    @property
    def attendance(self) -> Attendance:
        """Who is there."""
