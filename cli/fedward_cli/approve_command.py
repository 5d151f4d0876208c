"""`fedward approve`: a person of the hospital says yes to exactly what a SiteJob asks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from fedward_cli.cluster.kubectl import ClusterError, Kubectl, kubectl, within
from fedward_operator.api.site_job import SiteJobSpec
from fedward_operator.checks.printable import printable
from fedward_operator.policy.admission.approval import approval_digest
from fedward_operator.policy.naming import APPROVED


@dataclass(frozen=True, slots=True)
class Request:
    """What a person is asked to approve."""

    name: str
    spec: SiteJobSpec
    digest: str
    is_approved: bool

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        spec, gpu = self.spec, self.spec.resources.gpu
        return {
            "name": self.name,
            "job": {"namespace": spec.job.namespace, "name": spec.job.name, "uid": spec.job.uid},
            "dataset": spec.dataset,
            "image": spec.image,
            "gpus": gpu.count if gpu else 0,
            "memory": spec.resources.memory,
            "plan": spec.plan_digest,
            "digest": self.digest,
            "approved": self.is_approved,
        }

    def __str__(self) -> str:
        spec, gpu = self.spec, self.spec.resources.gpu
        lines = {
            "job": f"{spec.job.namespace}/{spec.job.name} ({spec.job.uid})",
            "dataset": spec.dataset,
            "image": spec.image or "the one that this site installed",
            "asks for": f"{gpu.count if gpu else 0} GPU, {spec.resources.memory or 'any'} memory",
            "plan": spec.plan_digest,
            "digest": self.digest,
        }
        # A person says yes to what the terminal shows: no control character of the hub's may change that.
        return "\n".join(map(printable, [self.name, *(f"  {name:<9} {text}" for name, text in lines.items())]))


def waiting(namespace: str | None, run: Kubectl = kubectl) -> list[Request]:
    """Return what waits for an approval in a namespace (kubectl's own where None).

    Raises:
        ClusterError: kubectl says no.
    """
    found = json.loads(run(["get", "sitejobs.fedward.io", "-o", "json", *within(namespace)]))
    waits = [item for item in found["items"] if _reason(item) == "ApprovalPending"]
    return [_request(item) for item in waits]


def find(name: str, namespace: str | None, run: Kubectl = kubectl) -> Request:
    """Return one SiteJob as a person has to see it.

    Raises:
        ClusterError: there is none, or kubectl says no.
    """
    return _request(json.loads(run(["get", "sitejobs.fedward.io", name, "-o", "json", *within(namespace)])))


def approve(request: Request, namespace: str | None, run: Kubectl = kubectl) -> None:
    """Write down that what was seen is approved; if it has changed since, the operator asks again.

    Raises:
        ClusterError: kubectl says no.
    """
    note = f"{APPROVED}={request.digest}"
    run(["annotate", "sitejobs.fedward.io", request.name, note, "--overwrite", *within(namespace)])


def _reason(item: dict[str, Any]) -> str:
    conditions = item.get("status", {}).get("conditions", [])
    return next((str(each["reason"]) for each in conditions if each["type"] == "Admitted"), "")


def _request(item: dict[str, Any]) -> Request:
    try:
        spec = SiteJobSpec.model_validate(item["spec"])
    except (KeyError, ValidationError) as error:
        raise ClusterError(f"{item['metadata']['name']} is of a version that this command cannot read") from error
    digest = approval_digest(spec)
    approved = item["metadata"].get("annotations", {}).get(APPROVED) == digest
    return Request(item["metadata"]["name"], spec, digest, approved)
