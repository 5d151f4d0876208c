"""Whether a certificate is good now, and for long enough: what renews itself is renewed at two thirds of its life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509

from fedward_operator.checks.finding import Finding, Trouble, fine, warning, wrong

_OVERDUE = 0.9
"""Of its life: a renewal that was due at two thirds has failed for long by then."""


def judge(about: str, certificate: x509.Certificate, now: datetime, then: str) -> Finding:
    """Say how long a certificate is good."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        said = f"it is good from {show(begins)} on; is this clock right?"
        return wrong(about, Trouble.CERTIFICATE_NOT_YET_VALID, said, then)
    if now >= ends:
        return wrong(about, Trouble.CERTIFICATE_EXPIRED, f"it expired at {show(ends)}", then)
    left = f"good until {show(ends)}, {span(ends - now)} from now"
    if now >= begins + (ends - begins) * _OVERDUE:
        return warning(about, Trouble.CERTIFICATE_EXPIRING, f"{left}, and not renewed", then)
    return fine(about, left)


def show(time: datetime) -> str:
    """Write an instant for people, to the minute."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def span(length: timedelta) -> str:
    """Write a length of time for people, in its largest unit."""
    seconds = int(length.total_seconds())
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
