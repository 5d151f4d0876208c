"""What Kubernetes has warned of within the last hour, each thing once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from fedward_operator.checks.finding import Finding, Level, fine, skipped
from fedward_operator.checks.lifetime import span
from fedward_operator.policy.conditions import read_time

ABOUT = "events"
_LATELY = timedelta(hours=1)
_MOST = 10


def in_order(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort events, the latest last."""
    return sorted(found, key=lambda event: when(event) or "")


def warnings(events: Sequence[Mapping[str, Any]], told: Sequence[Finding], now: datetime) -> Iterator[Finding]:
    """Yield the latest warnings about what no other finding is about; `events` has the latest last."""
    known = {each.about.rpartition(" ")[2] for each in told if each.level is Level.WRONG}
    latest: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for event in events:
        about, time = event.get("involvedObject") or {}, read_time(when(event))
        recent = time is not None and now - time < _LATELY
        if event.get("type") == "Warning" and recent and about.get("name") not in known:
            latest[about.get("kind", ""), about.get("name", ""), event.get("reason", "")] = event
    if not latest:
        yield fine(ABOUT, "no other warning within the last hour")
    for (kind, name, reason), event in list(latest.items())[-_MOST:]:
        ago = span(now - (read_time(when(event)) or now))
        namespace = (event.get("involvedObject") or {}).get("namespace", "")
        look = f"kubectl describe {kind.lower()} {name}{f' -n {namespace}' if namespace else ''}"
        # The words are Kubernetes' own, and on no page of ours.
        said = f"{reason}, {ago} ago: {event.get('message', '')}"
        yield Finding(f"{kind.lower()} {name}", Level.WARNING, said, then=look)
    if len(latest) > _MOST:
        yield skipped(ABOUT, f"{len(latest) - _MOST} warnings more: kubectl get events --field-selector type=Warning")


def when(event: Mapping[str, Any]) -> str | None:
    """Say when an Event was last true, as Kubernetes writes instants."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    created: str | None = (event.get("metadata") or {}).get("creationTimestamp")
    return next((str(each) for each in times if each), created)
