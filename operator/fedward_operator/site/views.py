"""What the site role looks at, at the hub and in its own cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedward_operator.policy import naming

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A SiteJob in the mailbox at the hub; `spec` is JSON."""

    name: str
    uid: str
    generation: int
    labels: Mapping[str, str]
    spec: bytes
    status: Mapping[str, Any]
    deleting: bool


@dataclass(frozen=True, slots=True)
class Mirrored:
    """Its mirror at the hospital; `spec` is JSON, the hub's uid and generation say what it mirrors."""

    name: str
    uid: str
    generation: int
    created: str
    hub_uid: str
    hub_generation: int
    spec: bytes
    status: Mapping[str, Any]
    approved: str | None
    deleting: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A SitePolicy; `spec` is JSON."""

    name: str
    uid: str
    generation: int
    spec: bytes
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """The Secret of a work order: what it was made from, and until when it need not be renewed."""

    owner: str
    basis: str
    renew_after: str


def canonical(spec: Mapping[str, Any]) -> bytes:
    """Write a spec so that equal ones are equal bytes."""
    return json.dumps(spec, separators=(",", ":"), sort_keys=True).encode()


def view_asked(item: Mapping[str, Any]) -> Asked:
    """Look at a SiteJob at the hub."""
    metadata = item["metadata"]
    return Asked(
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        labels=metadata.get("labels") or {},
        spec=canonical(item["spec"]),
        status=item.get("status") or {},
        deleting="deletionTimestamp" in metadata,
    )


def view_mirrored(item: Mapping[str, Any]) -> Mirrored:
    """Look at a SiteJob at the hospital."""
    metadata = item["metadata"]
    notes = metadata.get("annotations") or {}
    generation = notes.get(naming.HUB_GENERATION, "")
    return Mirrored(
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        created=metadata.get("creationTimestamp", ""),
        hub_uid=notes.get(naming.HUB_UID, ""),
        hub_generation=int(generation) if generation.isdigit() else 0,
        spec=canonical(item["spec"]),
        status=item.get("status") or {},
        approved=notes.get(naming.APPROVED),
        deleting="deletionTimestamp" in metadata,
    )


def view_policy(item: Mapping[str, Any]) -> Policy:
    """Look at a SitePolicy."""
    metadata = item["metadata"]
    return Policy(
        metadata["name"],
        metadata["uid"],
        metadata.get("generation", 0),
        canonical(item["spec"]),
        item.get("status") or {},
    )


def view_order(item: Mapping[str, Any]) -> Order:
    """Look at the metadata of a work order's Secret."""
    metadata = item["metadata"]
    notes = metadata.get("annotations") or {}
    owner = (metadata.get("labels") or {}).get(naming.LABEL_SITE_JOB, "")
    return Order(owner, notes.get(naming.ORDER, ""), notes.get(naming.RENEW_AFTER, ""))
