"""What the hub looks at in the objects that it watches."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fedward_operator.policy import conditions, naming
from fedward_operator.policy.joining.signing import Asked, Invited

Key = tuple[str, str]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_UNPRINTABLE = re.compile(r"[^ -~]")

_MOST_CASES = 10_000_000

HEARD_FOR = timedelta(seconds=15)
"""A site whose heartbeat is older is not connected."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A FederatedJob; `text` is the whole object as JSON, much smaller than what it is made of."""

    key: Key
    uid: str
    text: bytes

    def read(self) -> dict[str, Any]:
        """Return the object."""
        found: dict[str, Any] = json.loads(self.text)
        return found


@dataclass(frozen=True, slots=True)
class SiteView:
    """A FederatedSite."""

    name: str
    uid: str
    generation: int
    labels: Mapping[str, str]
    status: Mapping[str, Any]
    invited: Invited

    def is_connected(self, beat: Heartbeat | None, now: datetime) -> bool:
        """Tell whether it can be heard, and belongs to the federation."""
        return beat is not None and now - beat.heard <= HEARD_FOR and not self.invited.revoked


@dataclass(frozen=True, slots=True)
class RequestView:
    """A CertificateSigningRequest of our signer."""

    uid: str
    asked: Asked


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A site's Lease in its mailbox: when it was renewed, by our clock, and what the site says of itself there.

    Attributes:
        told: the mark of the authority that we wrote there, for the site to read.
        certificate_expires: when the site's certificate does, as Kubernetes writes instants; empty where untold.
    """

    heard: datetime
    version: str
    gpus: int
    datasets: tuple[str, ...]
    cases: Mapping[str, int] = field(default_factory=dict)
    told: str = ""
    certificate_expires: str = ""


@dataclass(frozen=True, slots=True)
class PartView:
    """A SiteJob in a mailbox: what the hub may change of it, and what the site answered."""

    namespace: str
    name: str
    uid: str
    site: str
    family: Key
    job_uid: str
    attempt: int
    suspend: bool
    address: str
    deleting: bool
    answered: int
    state: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ChildView:
    """Any other child: whose it is, and what of it somebody else might have changed."""

    uid: str
    family: Key
    job_uid: str
    deleting: bool
    held: Mapping[str, Any]


def view_federated_job(item: Mapping[str, Any]) -> JobView:
    """Look at a FederatedJob."""
    metadata = item["metadata"]
    kept = {name: value for name, value in metadata.items() if name not in ("managedFields", "annotations")}
    document = {"metadata": kept, "spec": item.get("spec", {}), "status": item.get("status") or {}}
    text = json.dumps(document, separators=(",", ":")).encode()
    return JobView((metadata["namespace"], metadata["name"]), metadata["uid"], text)


def view_site(item: Mapping[str, Any]) -> SiteView:
    """Look at a FederatedSite."""
    metadata = item["metadata"]
    labels, status, spec = metadata.get("labels") or {}, item.get("status") or {}, item.get("spec") or {}
    invited = Invited(spec.get("approval", "automatic"), spec.get("revoked", False))
    return SiteView(metadata["name"], metadata["uid"], metadata.get("generation", 0), labels, status, invited)


def view_request(item: Mapping[str, Any]) -> RequestView:
    """Look at a CertificateSigningRequest."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    said = {each["type"] for each in status.get("conditions") or () if each["status"] == "True"}
    asked = Asked(
        name=metadata["name"],
        user=spec.get("username", ""),
        pem=base64.b64decode(spec["request"]),
        approved="Approved" in said,
        settled="certificate" in status or bool(said & {"Denied", "Failed"}),
    )
    return RequestView(metadata["uid"], asked)


def view_heartbeat(item: Mapping[str, Any], now: datetime) -> Heartbeat:
    """Look at a site's Lease at the moment that it is heard of; what a site writes there may be anything."""
    notes = item["metadata"].get("annotations") or {}
    told = str(notes.get(naming.AUTHORITY, ""))
    try:
        offer = json.loads(notes[naming.OFFER])
        datasets = tuple(sorted({name for name in offer["datasets"] if _NAME.fullmatch(name)}))[:64]
        gpus = min(max(int(offer["gpus"]), 0), 1024)
        said = offer.get("cases") or {}
        cases = {name: min(max(int(said[name]), 0), _MOST_CASES) for name in datasets if name in said}
        version = _UNPRINTABLE.sub("", offer["version"])[:64]
        return Heartbeat(now, version, gpus, datasets, cases, told, _instant(offer.get("certificateExpires")))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return Heartbeat(now, "", 0, (), told=told)


def _instant(said: object) -> str:
    """Keep what is an instant, written as Kubernetes does."""
    try:
        return conditions.show_time(datetime.fromisoformat(str(said))) if said else ""
    except (ValueError, OverflowError):
        return ""


def view_part(item: Mapping[str, Any]) -> PartView:
    """Look at a SiteJob in a mailbox."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    running = conditions.find(status.get("conditions") or (), "Running") or {}
    return PartView(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        site=spec["site"],
        family=_family(metadata),
        job_uid=spec["job"]["uid"],
        attempt=spec["attempt"],
        suspend=spec.get("suspend", False),
        address=spec["aggregator"]["address"],
        deleting="deletionTimestamp" in metadata,
        answered=status.get("attempt", 0),
        state=status.get("state", "Pending"),
        reason=running.get("reason", ""),
        message=status.get("message", ""),
    )


def view_child(item: Mapping[str, Any]) -> ChildView:
    """Look at a child of which only its being there matters."""
    return _child(item, {})


def view_secret(item: Mapping[str, Any]) -> ChildView:
    """Look at a certificate's Secret: until when it need not be renewed, and which authorities it is about."""
    notes = item["metadata"].get("annotations") or {}
    return _child(item, {name: notes.get(name, "") for name in (naming.RENEW_AFTER, naming.AUTHORITY, naming.SCRAPERS)})


def view_service(item: Mapping[str, Any]) -> ChildView:
    """Look at a Service: where it leads."""
    spec = item["spec"]
    ports = [(each["port"], each.get("targetPort")) for each in spec.get("ports") or ()]
    return _child(item, {"selector": spec.get("selector"), "ports": ports})


def view_network_policy(item: Mapping[str, Any]) -> ChildView:
    """Look at a NetworkPolicy: whether it allows what it did."""
    return _child(item, {"fence": fence(item["spec"])})


def fence(spec: Mapping[str, Any]) -> str:
    """Tell a NetworkPolicy's spec from every other in few characters; an empty list and none are the same."""
    said = {name: value for name, value in spec.items() if value}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def family_of(view: ChildView | PartView) -> Key:
    """Tell which FederatedJob a child belongs to."""
    return view.family


def _child(item: Mapping[str, Any], held: Mapping[str, Any]) -> ChildView:
    metadata = item["metadata"]
    job_uid = (metadata.get("labels") or {}).get(naming.LABEL_UID, "")
    return ChildView(metadata["uid"], _family(metadata), job_uid, "deletionTimestamp" in metadata, held)


def _family(metadata: Mapping[str, Any]) -> Key:
    labels = metadata.get("labels") or {}
    return labels.get(naming.LABEL_NAMESPACE, ""), labels.get(naming.LABEL_JOB, "")
