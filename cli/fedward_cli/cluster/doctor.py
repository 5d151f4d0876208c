"""`fedward doctor`: what is wrong with a hub or a hospital, and what to do next, looked at through kubectl."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from fedward_cli.cluster import doctor_hub, doctor_site
from fedward_cli.cluster.doctor_claims import claims
from fedward_cli.cluster.doctor_events import in_order, warnings
from fedward_cli.cluster.doctor_look import Look
from fedward_cli.cluster.doctor_pods import pods, without_pods
from fedward_cli.cluster.finding_document import document_of
from fedward_cli.cluster.kubectl import ClusterError, Kubectl, Object, kubectl, listed, within
from fedward_operator.checks.finding import Finding
from fedward_operator.checks.writing import is_healthy, write

_LOOKS = {"hub": ("fedward-hub-operator", doctor_hub.findings), "site": ("fedward-site-operator", doctor_site.findings)}
"""By its operator's Deployment an installation is known."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found of one installation.

    Attributes:
        what: which installation.
        test: the command that looks at it from within.
    """

    what: str
    findings: Sequence[Finding]
    test: str

    @property
    def is_healthy(self) -> bool:
        """Nothing is wrong."""
        return is_healthy(self.findings)

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        findings = [document_of(each) for each in self.findings]
        return {"what": self.what, "healthy": self.is_healthy, "findings": findings, "test": self.test}

    def __str__(self) -> str:
        within = f"What only a pod can see (names, doors, clocks): {self.test}"
        return "\n".join([self.what, *write(self.findings), within])


def examine(role: str | None, namespace: str, now: datetime, run: Kubectl = kubectl) -> list[Diagnosis]:
    """Look at what is installed in a namespace: the hub, the site, or whichever is there.

    Raises:
        ClusterError: it cannot be looked at, or is not there.
    """
    deployments = listed(run, "deployments", *within(namespace))
    by_name = {each["metadata"]["name"]: each for each in deployments}
    wanted = [role] if role else [each for each, (operator, _) in _LOOKS.items() if operator in by_name]
    if not wanted or any(_LOOKS[each][0] not in by_name for each in wanted):
        what = f"no {role}" if role else "neither a hub nor a site"
        raise ClusterError(f"there is {what} in the namespace {namespace}: name its release's namespace with -n")
    return [_examine(each, by_name[_LOOKS[each][0]], deployments, now, run) for each in wanted]


def _examine(role: str, operator: Object, deployments: Sequence[Object], now: datetime, run: Kubectl) -> Diagnosis:
    look = Look(run, operator["metadata"]["namespace"])
    release = (operator["metadata"].get("labels") or {}).get("app.kubernetes.io/instance", "RELEASE")
    events = in_order(look.here("events") or ())
    own = [each for each in look.here("pods") or () if "fedward.io/component" in (each["metadata"].get("labels") or {})]
    findings = [
        *without_pods(deployments, look.namespace),
        *pods(own, now),
        *claims(look.here("persistentvolumeclaims") or (), events),
        *_LOOKS[role][1](look, _arguments(operator), now),
    ]
    findings += [*warnings(events, findings, now), *look.unseen]
    test = f"helm test {release} -n {look.namespace} --logs"
    return Diagnosis(f"The {role} in the namespace {look.namespace}", findings, test)


def _arguments(operator: Object) -> dict[str, str]:
    given = operator["spec"]["template"]["spec"]["containers"][0].get("args") or []
    return {name.removeprefix("--"): value for name, value in pairwise(given) if name[:2] == "--"}
