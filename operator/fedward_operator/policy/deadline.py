"""activeDeadlineSeconds: how long a job may run, counted anew after each resumption as for batch/v1 Jobs."""

from __future__ import annotations

from datetime import datetime


def seconds_left(started: datetime | None, limit_s: int | None, now: datetime) -> float | None:
    """Return the seconds until a job has run too long (0 or less: it has); None if it never will."""
    if started is None or limit_s is None:
        return None
    return limit_s - (now - started).total_seconds()
