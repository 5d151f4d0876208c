"""ttlSecondsAfterFinished: how long a finished job is kept."""

from __future__ import annotations

from datetime import datetime


def seconds_kept(finished: datetime | None, ttl_s: int | None, now: datetime) -> float | None:
    """Return the seconds until a finished job is deleted (0 or less: now); None if it is kept."""
    if finished is None or ttl_s is None:
        return None
    return ttl_s - (now - finished).total_seconds()
