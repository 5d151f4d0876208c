"""`fedward doctor`: what is wrong with a hub or a hospital, and what to do next, looked at through kubectl."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fedward_cli.cluster import doctor_hub, doctor_site
from fedward_cli.cluster.doctor_claims import claims
from fedward_cli.cluster.doctor_events import in_order, warnings
from fedward_cli.cluster.doctor_pods import pods, without_pods
from fedward_cli.cluster.kubectl import ClusterError, Kubectl, Object, kubectl, listed, within
from fedward_operator.checks.finding import Finding, skipped
from fedward_operator.checks.writing import is_healthy, write

OPERATORS = {"fedward-hub-operator": "hub", "fedward-site-operator": "site"}
"""By its operator's Deployment an installation is known."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found of one installation.

    Attributes:
        what: which installation.
        test: the command that looks from within.
    """

    what: str
    findings: Sequence[Finding]
    test: str

    @property
    def is_healthy(self) -> bool:
        """Nothing is wrong."""
        return is_healthy(self.findings)

    def __str__(self) -> str:
        lines = [self.what, *write(self.findings), "", "What only a pod can see (names, doors, clocks):", f"  {self.test}"]
        return "\n".join(lines)


def examine(role: str | None, namespace: str, now: datetime, run: Kubectl = kubectl) -> list[Diagnosis]:
    """Look at what is installed in a namespace: the hub, the site, or whatever is there.

    Raises:
        ClusterError: it cannot be looked at, or there is nothing of ours.
    """
    deployments = listed(run, "deployments", *within(namespace))
    found = {OPERATORS[each["metadata"]["name"]]: each for each in deployments if each["metadata"]["name"] in OPERATORS}
    wanted = [role] if role else sorted(found)
    if not wanted or (role and role not in found):
        what = f"no {role}" if role else "neither a hub nor a site"
        raise ClusterError(f"there is {what} in the namespace {namespace}: name its release's namespace with -n")
    return [_examine(each, found[each], deployments, now, run) for each in wanted]


def _examine(
    role: str, operator: Object, deployments: Sequence[Object], now: datetime, run: Kubectl
) -> Diagnosis:
    namespace = operator["metadata"]["namespace"]
    release = (operator["metadata"].get("labels") or {}).get("app.kubernetes.io/instance", "RELEASE")
    look = Look(run, now, namespace)
    events = in_order(look.all("events"))
    own = [each for each in look.all("pods") if "fedward.io/component" in (each["metadata"].get("labels") or {})]
    findings = [*without_pods(deployments, namespace), *pods(own, now), *claims(look.all("persistentvolumeclaims"), events)]
    if role == "hub":
        findings += doctor_hub.findings(look.or_say, look.elsewhere, namespace, now)
    else:
        findings += doctor_site.findings(look.or_say, operator, namespace, now)
    findings += [*warnings(events, findings, now), *look.unseen]
    return Diagnosis(f"The {role} in the namespace {namespace}", findings, f"helm test {release} -n {namespace}")
