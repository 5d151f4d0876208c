"""Whether this machine's clock agrees with a server's."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from fedward_operator.checks.finding import Finding, Trouble, fine, skipped, wrong

_MOST_S = 60.0
"""Tokens, certificates and leases are judged by the clock; beyond a minute one of them fails sooner or later."""


def agree(about: str, date: str | None, now: datetime, then: str) -> Finding:
    """Compare the Date of a server's answer, which counts in seconds, with our time when it came."""
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return skipped(about, "the server does not say what time it is")
    if theirs.tzinfo is None:
        return skipped(about, f'the server says "{date}", which is no time')
    off_s = (now - theirs).total_seconds()
    if abs(off_s) < _MOST_S:
        return fine(about, f"within {max(1, round(abs(off_s)))} s of the hub's")
    side = "ahead of" if off_s > 0 else "behind"
    said = f"this clock is {abs(off_s):.0f} s {side} the hub's, {_MOST_S:.0f} s at most are good"
    return wrong(about, Trouble.CLOCK_SKEWED, said, then)
