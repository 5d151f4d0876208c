"""`fedward sites`: who is in the federation, what each offers, and what each works on, as far as one may see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.table import Table

from fedward_cli.cluster.kubectl import (
    ClusterError,
    ForbiddenError,
    KindUnknownError,
    Kubectl,
    Object,
    kubectl,
    listed,
    within,
)
from fedward_operator.checks.lifetime import span
from fedward_operator.checks.printable import printable
from fedward_operator.policy.conditions import find, holds, read_time, show_time
from fedward_operator.policy.joining.naming import SIGNER, speaker
from fedward_operator.policy.quorum import TAKES_PART

_REQUESTS = "certificatesigningrequests.certificates.k8s.io"


@dataclass(frozen=True, slots=True)
class Site:
    """A site as the hub sees it.

    Attributes:
        reason: why it is not connected; empty where it is.
        since: when that last changed.
        last_seen: when it was heard last, once it is not heard any more.
        datasets: how many cases each has; None where the hospital does not tell.
        certificate: until when it is good, as the site says, or how its request for one stands.
        jobs: namespace/name of those it works on.
    """

    name: str
    hospital: str
    connected: bool
    reason: str
    since: datetime | None
    last_seen: datetime | None
    version: str
    gpus: int
    datasets: Mapping[str, int | None]
    certificate: str
    jobs: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        return {
            "name": self.name,
            "hospital": self.hospital,
            "connected": self.connected,
            "reason": self.reason or None,
            "since": show_time(self.since) if self.since else None,
            "lastSeen": show_time(self.last_seen) if self.last_seen else None,
            "version": self.version,
            "gpus": self.gpus,
            "datasets": [{"name": name, "cases": cases} for name, cases in self.datasets.items()],
            "certificate": self.certificate or None,
            "jobs": list(self.jobs),
        }


@dataclass(frozen=True, slots=True)
class Federation:
    """The sites, and what of them could not be seen."""

    sites: tuple[Site, ...]
    unseen: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        return {"sites": [each.document() for each in self.sites], "unseen": list(self.unseen)}

    def text(self, now: datetime) -> Iterator[Table | str]:
        """Say it to people."""
        if not self.sites:
            yield "nobody is invited yet: fedward invite SITE > SITE.yaml"
            return
        has_requests = any(each.certificate for each in self.sites)
        titles = ("site", "connected", "last seen", "version", "gpus", "datasets", "jobs")
        table = Table(*titles, *(("certificate",) if has_requests else ()), box=None, padding=(0, 2, 0, 0))
        for each in self.sites:
            row = (
                each.name,
                "yes" if each.connected else f"no: {each.reason}",
                _seen(each, now),
                each.version,
                str(each.gpus),
                ", ".join(name if cases is None else f"{name} ({cases})" for name, cases in each.datasets.items()),
                ", ".join(each.jobs),
            )
            table.add_row(*row, *((each.certificate,) if has_requests else ()))
        yield table
        yield from (f"not seen: {each}" for each in self.unseen)


def look(namespace: str | None = None, run: Kubectl = kubectl) -> Federation:
    """Look at every site; `namespace` is where jobs are looked for by whoever may not list all of them.

    Raises:
        ClusterError: FederatedSites may not be seen, or there are none of that kind: this is no hub.
    """
    try:
        found = listed(run, "federatedsites.fedward.io")
    except KindUnknownError as error:
        text = "this cluster knows no FederatedSites, so it is no hub; at a hospital fedward doctor says how it stands"
        raise ClusterError(text) from error
    unseen: list[str] = []
    jobs = _jobs(run, namespace, unseen)
    requests = _requests(run, unseen)
    at_work: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        for part in (job.get("status") or {}).get("sites") or ():
            if part["state"] in TAKES_PART:
                at_work[part["name"]].append(f"{job['metadata']['namespace']}/{job['metadata']['name']}")
    sites = [
        _site(printable(each), requests, at_work)
        for each in sorted(found, key=lambda each: str(each["metadata"]["name"]))
    ]
    return Federation(tuple(sites), tuple(unseen))


def _jobs(run: Kubectl, namespace: str | None, unseen: list[str]) -> Sequence[Object]:
    kind = "federatedjobs.fedward.io"
    try:
        return listed(run, kind, "--all-namespaces")
    except ForbiddenError:
        unseen.append("jobs of other namespaces, which only the hub's administrator may list")
    try:
        return listed(run, kind, *within(namespace))
    except ForbiddenError as error:
        unseen[-1] = f"jobs: the right to {error.right} is missing"
        return ()


def _requests(run: Kubectl, unseen: list[str]) -> Mapping[str, str]:
    try:
        found = listed(run, _REQUESTS, "--field-selector", f"spec.signerName={SIGNER}")
    except ForbiddenError:
        unseen.append("requests for certificates, which only the hub's administrator may list")
        return {}
    requests = {}
    for each in found:
        asks = speaker(each["spec"].get("username", ""))
        if asks is not None:
            requests[asks[0]] = _asks(each.get("status") or {})
    return requests


def _asks(status: Mapping[str, Any]) -> str:
    """Say how a request stands, until it has brought its certificate."""
    said = {each["type"] for each in status.get("conditions") or ()}
    if "Denied" in said:
        return "denied"
    if "certificate" in status:
        return ""
    return "approved" if "Approved" in said else "waits for approval"


def _site(found: Object, requests: Mapping[str, str], at_work: Mapping[str, Sequence[str]]) -> Site:
    name, spec, status = found["metadata"]["name"], found.get("spec") or {}, found.get("status") or {}
    conditions = status.get("conditions") or ()
    heard = find(conditions, "Connected") or {"reason": "NeverHeard"}
    connected = holds(conditions, "Connected")
    cases = status.get("cases") or {}
    return Site(
        name=name,
        hospital=spec.get("displayName", ""),
        connected=connected,
        reason="" if connected else heard["reason"],
        since=read_time(heard.get("lastTransitionTime")),
        last_seen=read_time(status.get("lastSeen")),
        version=status.get("version", ""),
        gpus=status.get("gpus", 0),
        datasets={each: cases.get(each) for each in status.get("datasets") or ()},
        certificate=_standing(spec, status, requests.get(name, "")),
        jobs=tuple(sorted(at_work.get(name, ()))),
    )


def _standing(spec: Mapping[str, Any], status: Mapping[str, Any], request: str) -> str:
    if spec.get("revoked"):
        return ""
    expires = read_time(status.get("certificateExpires"))
    return request or (f"until {expires:%Y-%m-%d}" if expires else "")


def _seen(site: Site, now: datetime) -> str:
    if site.connected:
        return "now"
    return f"{span(now - site.last_seen)} ago" if site.last_seen else "never"
