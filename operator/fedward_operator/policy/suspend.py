"""suspend: what it does to attempts. What was stopped goes on as a new attempt, which fences off the old one."""

from __future__ import annotations


def attempt_to_run(attempt: int, was_suspended: bool) -> int:
    """Return the attempt that runs now: the next one after a suspension, the first one at the start."""
    return attempt + 1 if was_suspended or attempt == 0 else attempt
