"""What the site role looks at, at the hub and in its own cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedward_operator.policy import naming
from fedward_operator.policy.pods import PodView, view_pod

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
    """Its mirror at the hospital; `spec` is JSON, the hub's uid and generation say what it mirrors.

    Attributes:
        job: namespace and name of the federated job at the hub.
    """

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
    job: Key = ("", "")


@dataclass(frozen=True, slots=True)
class Policy:
    """A SitePolicy; `spec` is JSON, `asked` changes when every dataset shall be inspected anew."""

    name: str
    uid: str
    generation: int
    spec: bytes
    status: Mapping[str, Any]
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """The Secret of a work order: what it was made from, and until when it need not be renewed."""

    owner: str
    basis: str
    renew_after: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """The Job that inspects a dataset.

    Attributes:
        basis: what it inspects.
        ended: when it completed or failed for good.
        failed: reason and message if it has failed.
    """

    namespace: str
    name: str
    uid: str
    basis: str
    created: str
    ended: str | None
    failed: tuple[str, str] | None
    deleting: bool


@dataclass(frozen=True, slots=True)
class PreflightPod:
    """A pod of such a Job; `said` is what it left as its last words, a report if all went well."""

    job_uid: str
    pod: PodView
    said: str


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
    generation, job = notes.get(naming.HUB_GENERATION, ""), item["spec"].get("job", {})
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
        job=(job.get("namespace", ""), job.get("name", "")),
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
        (metadata.get("annotations") or {}).get(naming.INSPECT, ""),
    )


def view_preflight(item: Mapping[str, Any]) -> Preflight:
    """Look at the Job that inspects a dataset."""
    metadata, status = item["metadata"], item.get("status") or {}
    true = {each["type"]: each for each in status.get("conditions") or () if each["status"] == "True"}
    end = true.get("Complete") or true.get("Failed")
    failed = "Failed" in true and end is not None
    return Preflight(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        basis=(metadata.get("labels") or {}).get(naming.LABEL_BASIS, ""),
        created=metadata.get("creationTimestamp", ""),
        ended=end["lastTransitionTime"] if end else None,
        failed=(end.get("reason", ""), end.get("message", "")) if failed and end else None,
        deleting="deletionTimestamp" in metadata,
    )


def view_preflight_pod(item: Mapping[str, Any]) -> PreflightPod:
    """Look at a pod that inspects, or has inspected, a dataset."""
    # By its owner and not by a name: the Job before it was called the same.
    owners = [each["uid"] for each in item["metadata"].get("ownerReferences") or () if each.get("controller")]
    states = [each.get("state") or {} for each in (item.get("status") or {}).get("containerStatuses") or ()]
    said = next((state["terminated"].get("message", "") for state in states if "terminated" in state), "")
    return PreflightPod(owners[0] if owners else "", view_pod(item), said)


def view_order(item: Mapping[str, Any]) -> Order:
    """Look at the metadata of a work order's Secret."""
    metadata = item["metadata"]
    notes = metadata.get("annotations") or {}
    owner = (metadata.get("labels") or {}).get(naming.LABEL_SITE_JOB, "")
    return Order(owner, notes.get(naming.ORDER, ""), notes.get(naming.RENEW_AFTER, ""))
