"""What is wrong with volume claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedward_operator.checks.finding import Finding, fine, skipped, wrong

_FOR_A_POD = "WaitForFirstConsumer"


def claims(found: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Judge claims by their phase, and by the last thing that was said of those that have no volume."""
    for claim in found:
        metadata, phase = claim["metadata"], (claim.get("status") or {}).get("phase", "Pending")
        about = f"claim {metadata['name']}"
        if phase == "Bound":
            yield fine(about, "it has its volume")
            continue
        reason, message = _last(metadata["name"], metadata["namespace"], events)
        if phase == "Pending" and reason == _FOR_A_POD:
            yield skipped(about, "it gets its volume with its first pod")
            continue
        said = message or "no volume was found for it, and nobody says why; is there a StorageClass?"
        look = f"kubectl describe pvc {metadata['name']} -n {metadata['namespace']}"
        yield wrong(about, "VolumePending" if phase == "Pending" else f"Volume{phase}", said, look)


def _last(name: str, namespace: str, events: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    for event in reversed(events):
        about = event.get("involvedObject") or {}
        if (about.get("kind"), about.get("name"), about.get("namespace")) == ("PersistentVolumeClaim", name, namespace):
            return event.get("reason", ""), event.get("message", "")
    return "", ""
