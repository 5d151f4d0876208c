"""`fedward authority`: who signs for the federation, whom it believes, who knows; and how another takes over."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from fedward_cli.cluster.hub import Hub, find_hub
from fedward_cli.cluster.kubectl import ClusterError, Kubectl, Object, find, kubectl, listed
from fedward_operator.policy import naming
from fedward_operator.policy.conditions import holds, read_time, show_time
from fedward_operator.policy.joining.rotation import Rotated, Step, rotate
from fedward_operator.policy.joining.trust import mark, read_authority

ROTATED = "fedward.io/rotated"
"""On the authority's Secret: when the last step of a rotation was taken."""

_SETTLES = timedelta(minutes=3)
"""How long a step is given to reach every pod: a kubelet looks at a Secret that it has mounted every minute or two."""


@dataclass(frozen=True, slots=True)
class State:
    """How the authority is.

    Attributes:
        secret: the Secret as it was read.
        files: its files.
        believed: certificates, the one that signs first.
        behind: connected sites that believe others.
        away: sites that are not connected; they learn when they come back.
        next: the step of a rotation that is next, and what the Secret holds after it.
        settles: until when the last step may not have reached everybody; None where that is long ago.
    """

    hub: Hub
    secret: Object
    believed: tuple[x509.Certificate, ...]
    behind: tuple[str, ...]
    away: tuple[str, ...]
    next: Rotated
    settles: datetime | None

    def lines(self) -> Iterator[str]:
        """Say it to a person."""
        for place, each in enumerate(self.believed):
            is_who = "believed too" if place else "signs"
            yield f"{is_who:<13} SHA256:{each.fingerprint(SHA256()).hex()}, until {each.not_valid_after_utc:%Y-%m-%d}"
        if self.behind:
            yield f"not yet known to {', '.join(self.behind)}"
        if self.away:
            yield f"not connected, and told when they are: {', '.join(self.away)}"
        if self.next.step is not Step.BEGIN:
            yield f"a rotation is under way; its next step: {self.next.step.value}"

    def document(self, now: datetime) -> dict[str, Any]:
        """Give it to programs."""
        return {
            "federation": self.hub.federation,
            "believed": [
                {
                    "fingerprint": f"SHA256:{each.fingerprint(SHA256()).hex()}",
                    "until": show_time(each.not_valid_after_utc),
                    "signs": place == 0,
                }
                for place, each in enumerate(self.believed)
            ],
            "behind": list(self.behind),
            "away": list(self.away),
            "nextStep": self.next.step.value,
            "obstacle": self.obstacle(now),
        }

    def obstacle(self, now: datetime) -> str | None:
        """Say why the next step had better wait."""
        if self.settles is not None and now < self.settles:
            return f"the last step may not have reached every pod yet; go on after {self.settles:%H:%M:%S} UTC"
        if self.behind:
            return f"{', '.join(self.behind)} did not learn of the last step yet"
        return None


def look(namespace: str, now: datetime, run: Kubectl = kubectl) -> State:
    """Look how the authority is.

    Raises:
        ClusterError: there is no hub or no authority, or kubectl says no.
    """
    hub = find_hub(run, namespace)
    where = f"the Secret {namespace}/{hub.authority}"
    secret = find(run, "secret", hub.authority, namespace)
    if secret is None:
        raise ClusterError(f"{where} is missing; the hub's operator makes it, unless the chart says that it is given")
    files = {name: base64.b64decode(content) for name, content in (secret.get("data") or {}).items()}
    try:
        trusted = read_authority(hub.federation, files).trusted_pem
        step = rotate(hub.federation, files, now)
    except ValueError as error:
        raise ClusterError(f"{where} cannot be used: {error}") from error
    behind, away = _who_knows(mark(trusted), run)
    rotated = read_time((secret["metadata"].get("annotations") or {}).get(ROTATED))
    return State(
        hub=hub,
        secret=secret,
        believed=tuple(x509.load_pem_x509_certificates(trusted)),
        behind=behind,
        away=away,
        next=step,
        settles=rotated + _SETTLES if rotated else None,
    )


def take_step(state: State, now: datetime, run: Kubectl = kubectl) -> None:
    """Write the Secret as it is after the next step; the hub's operator takes it up by itself.

    Raises:
        ClusterError: it is kept by something else, somebody has changed it meanwhile, or kubectl says no.
    """
    metadata = state.secret["metadata"]
    keeper = _keeper(metadata)
    if keeper:
        where = f"the Secret {state.hub.namespace}/{state.hub.authority}"
        raise ClusterError(f"{where} is kept by {keeper}, which would write over this: change it there")
    kept = {
        name: metadata[name] for name in ("name", "namespace", "labels", "resourceVersion", "uid") if name in metadata
    }
    kept["annotations"] = {**(metadata.get("annotations") or {}), ROTATED: show_time(now)}
    data = {name: base64.b64encode(content).decode() for name, content in state.next.files.items()}
    document = {**state.secret, "metadata": kept, "data": data}
    # With the version that was seen: of two people who take a step at once, one is told.
    run(["replace", "-f", "-"], json.dumps(document))


def _keeper(metadata: Object) -> str | None:
    """Say what writes a Secret by itself, such as cert-manager or a vault's controller."""
    certificate = (metadata.get("annotations") or {}).get("cert-manager.io/certificate-name")
    if certificate:
        return f"cert-manager's Certificate {certificate}"
    owner = next(iter(metadata.get("ownerReferences") or ()), None)
    return f"the {owner['kind']} {owner['name']}" if owner else None


def _who_knows(wanted: str, run: Kubectl) -> tuple[tuple[str, ...], tuple[str, ...]]:
    sites = [each for each in listed(run, "federatedsites") if not (each.get("spec") or {}).get("revoked")]
    selector = f"{naming.LABEL_COMPONENT}=site"
    leases = {each["metadata"]["namespace"]: each for each in listed(run, "leases", "-A", "-l", selector)}
    behind, away = [], []
    for site in sites:
        name = site["metadata"]["name"]
        notes = leases.get(naming.mailbox(name), {}).get("metadata", {}).get("annotations") or {}
        if not holds((site.get("status") or {}).get("conditions") or (), "Connected"):
            away.append(name)
        elif notes.get(naming.BELIEVED) != wanted:
            behind.append(name)
    return tuple(behind), tuple(away)
