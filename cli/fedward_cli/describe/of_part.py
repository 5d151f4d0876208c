"""A hospital's part in a job described, at the hospital."""

from __future__ import annotations

from datetime import datetime

from fedward_cli.cluster.doctor_jobs import at_site
from fedward_cli.cluster.doctor_look import Look
from fedward_cli.cluster.doctor_pods import pods
from fedward_cli.cluster.kubectl import Kubectl
from fedward_cli.cluster.whose import AtSite
from fedward_cli.describe.description import Description, dated
from fedward_cli.describe.happened import happenings
from fedward_operator.checks import policy
from fedward_operator.checks.finding import Level
from fedward_operator.policy import naming
from fedward_operator.policy.conditions import holds


def describe(found: AtSite, now: datetime, run: Kubectl) -> Description:
    """Describe it.

    Raises:
        ClusterError: it cannot be looked at.
    """
    part, look = found.part, Look(run, found.namespace)
    spec, status = part["spec"], part.get("status") or {}
    conditions = status.get("conditions") or ()
    findings = [dated(each, conditions, now) for each in at_site([part], found.namespace)]
    if not (holds(conditions, "Completed") or holds(conditions, "Failed")):
        policies = look.here("sitepolicies.fedward.io")
        if policies is not None:
            findings += [each for each in policy.sound(policies, found.namespace) if each.level is not Level.SKIPPED]
        selector = f"{naming.LABEL_COMPONENT}=trainer,{naming.LABEL_SITE_JOB}={found.name}"
        told = {each.reason for each in findings}
        findings += [each for each in pods(look.here("pods", "-l", selector) or (), now) if each.reason not in told]
    asked = spec["job"]
    gpu = (spec.get("resources") or {}).get("gpu") or {}
    return Description(
        what=f"the part of {found.site} in {asked['namespace']}/{asked['name']}: {status.get('state', 'Pending')}",
        details={
            "SiteJob": f"{found.namespace}/{found.name}",
            "dataset": spec["dataset"],
            "asks for": f"{gpu.get('count', 1) if gpu else 0} GPU",
            "attempt": str(spec["attempt"]),
            "plan": spec["planDigest"],
            "rounds": "the hub knows how the job goes as a whole: ask its researcher",
        },
        findings=[*findings, *look.unseen],
        progress=None,
        events=happenings(look.here("events") or (), lambda name: f"{name}-".startswith(f"{found.name}-")),
    )
