"""Kubernetes Events: what `kubectl describe` shows, once each, however often it is tried to be said."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.kube.kinds import EVENT, Kind

_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Note:
    """Something to be said about an object.

    Attributes:
        occasion: tells two occurrences of the same apart; the same occasion is said once, even after a restart.
    """

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    occasion: str


async def say(
    client: Client, component: str, kind: Kind, about: dict[str, Any], note: Note, now: datetime, namespace: str
) -> None:
    """Write an Event about the object with this metadata.

    Raises:
        ApiError: but not that it has been said already.
        UnavailableError.
    """
    text = "\n".join((about["uid"], note.type, note.reason, note.occasion))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    manifest = {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.name,
        "metadata": {"namespace": namespace, "name": f"{about['name']}.{digest}"},
        "involvedObject": {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "namespace": about.get("namespace"),
            "name": about["name"],
            "uid": about["uid"],
        },
        "type": note.type,
        "reason": note.reason,
        "message": note.message[:_LONGEST],
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": component,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
    try:
        await client.create(EVENT, manifest)
    except ApiError as error:
        if not error.is_conflict:
            raise
