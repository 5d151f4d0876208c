"""`fedward approve site`: a person of the hub lets in a hospital that asks for its certificate."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fedward_cli.cluster.kubectl import ClusterError, Kubectl, Object, find, kubectl, listed
from fedward_operator.policy.joining.naming import SIGNER, certificate_request, speaker
from fedward_protocol import certificate_request as pkcs10

_KIND = "certificatesigningrequests.certificates.k8s.io"
_PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that a person is asked to approve; the hospital's operator logs the same fingerprint."""

    site: str
    since: str
    identity: str
    fingerprint: str
    is_approved: bool
    found: Object

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        said = {"site": self.site, "asksAs": self.identity, "since": self.since}
        return {**said, "key": self.fingerprint, "approved": self.is_approved}

    def __str__(self) -> str:
        lines = {"asks as": self.identity, "since": self.since, "key": self.fingerprint}
        return "\n".join([self.site, *(f"  {name:<8} {text}" for name, text in lines.items())])


def waiting(run: Kubectl = kubectl) -> list[Waiting]:
    """Return the sites' requests that nobody has answered.

    Raises:
        ClusterError: kubectl says no.
    """
    found = listed(run, _KIND, "--field-selector", f"spec.signerName={SIGNER}")
    return [_read(each) for each in found if not (each.get("status") or {}).get("conditions")]


def request_of(site: str, run: Kubectl = kubectl) -> Waiting:
    """Return a site's request.

    Raises:
        ClusterError: there is none, it was denied, it cannot be read, or kubectl says no.
    """
    found = find(run, _KIND, certificate_request(site))
    if found is None:
        raise ClusterError(f"{site} does not ask for a certificate; fedward approve site lists who does")
    said = {each["type"]: each.get("message", "") for each in (found.get("status") or {}).get("conditions") or ()}
    if "Denied" in said:
        raise ClusterError(f"the request of {site} was denied: {said['Denied']}")
    return _read(found)


def approve(request: Waiting, run: Kubectl = kubectl) -> None:
    """Approve exactly the request that was seen: not another one that took its name meanwhile.

    Raises:
        ClusterError: it has changed, or kubectl says no.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": "Approved", "status": "True", "reason": "ApprovedByPerson", "lastUpdateTime": now}
    condition["message"] = "a person of the hub has approved it with fedward approve site"
    document = {**request.found, "status": {"conditions": [condition]}}
    name = request.found["metadata"]["name"]
    run(["replace", "--raw", f"{_PATH}/{name}/approval", "-f", "-"], json.dumps(document))


def _read(found: Object) -> Waiting:
    spec, metadata = found["spec"], found["metadata"]
    try:
        asked = pkcs10.read(base64.b64decode(spec["request"]))
    except ValueError as error:
        raise ClusterError(f"the request {metadata['name']} cannot be read: {error}") from error
    site, _ = speaker(spec.get("username", "")) or (metadata["name"], "")
    conditions = (found.get("status") or {}).get("conditions") or ()
    approved = any(each["type"] == "Approved" for each in conditions)
    return Waiting(site, metadata["creationTimestamp"], asked.identity.uri, asked.fingerprint, approved, found)
