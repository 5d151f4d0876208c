"""When: the hospital's windows of the week, in its own time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from fedward_operator.api.policy import Schedule
from fedward_operator.policy.admission.verdict import Waits

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_AHEAD = 16
"""Days looked ahead: two weeks, since in the night in which clocks go forward a window may not happen at all."""


def closes_in(schedule: Schedule | None, now: datetime) -> float | Waits | None:
    """Return the seconds until trainers have to stop, None if they need not; Waits where they may not run now."""
    if schedule is None:
        return None
    spans = sorted(_spans(schedule, now))
    ends: datetime | None = None
    for begins, until in spans:
        if begins <= (ends or now) and until > (ends or now):
            ends = until  # the windows follow one another without a gap
    if ends is not None:
        return None if ends - now > timedelta(days=7) else (ends - now).total_seconds()
    begin = min(begins for begins, _ in spans if begins > now)
    text = f"the site trains again from {begin.astimezone(UTC):%Y-%m-%d %H:%M} UTC on"
    return Waits("OutsideWindow", text, (begin - now).total_seconds())


def _spans(schedule: Schedule, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    zone = ZoneInfo(schedule.time_zone)
    today = now.astimezone(zone).date()
    for ahead in range(-1, _AHEAD):
        day = today + timedelta(days=ahead)
        for window in schedule.windows:
            if window.days and _DAYS[day.weekday()] not in window.days:
                continue
            begins, ends = _read(window.begins), _read(window.ends)
            last = day if ends > begins else day + timedelta(days=1)
            # As instants: a night in which the clocks change is an hour longer or shorter.
            opens = datetime.combine(day, begins, zone).astimezone(UTC)
            closes = datetime.combine(last, ends, zone).astimezone(UTC)
            if opens < closes:
                yield opens, closes


def _read(text: str) -> time:
    return time.fromisoformat(text)
