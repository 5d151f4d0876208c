"""A FederatedJob described, at the hub, as far as its researcher may see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from fedward_cli.cluster.doctor_jobs import at_hub
from fedward_cli.cluster.doctor_look import Look
from fedward_cli.cluster.doctor_pods import pods
from fedward_cli.cluster.kubectl import Kubectl, Object
from fedward_cli.cluster.whose import AtHub
from fedward_cli.describe import next_step
from fedward_cli.describe.description import Description, dated
from fedward_cli.describe.happened import happenings
from fedward_cli.progress.of_cluster import read
from fedward_cli.progress.state import Progress
from fedward_operator.checks.finding import Finding, Level, warning, wrong
from fedward_operator.checks.lifetime import span
from fedward_operator.policy import naming
from fedward_operator.policy.conditions import find, holds, read_time
from fedward_operator.policy.quorum import TAKES_PART

_FINE = frozenset({"Pending", "Waiting", "Starting", "Suspended", "Completed", *TAKES_PART})
"""A site's states that are no trouble by themselves; a reason beside them says what they wait for."""


def describe(found: AtHub, now: datetime, run: Kubectl) -> Description:
    """Describe it.

    Raises:
        ClusterError: it cannot be looked at.
    """
    job, look = found.job, Look(run, found.namespace)
    progress, conditions = read(job), (job.get("status") or {}).get("conditions") or ()
    of_sites = []
    if progress.outcome != "Completed":
        of_sites = list(_of_sites(found, progress, _connected(look, progress), now))
    findings = [dated(each, conditions, now) for each in _of_job(found, conditions, has_told=bool(of_sites))] + of_sites
    if progress.outcome is None:
        selector = f"{naming.LABEL_COMPONENT}=aggregator,{naming.LABEL_JOB}={found.name}"
        told = {each.reason for each in findings}
        findings += [each for each in pods(look.here("pods", "-l", selector) or (), now) if each.reason not in told]
    events = look.here("events") or ()
    pods_of = f"{naming.aggregator(found.name)}-", f"{naming.tracker(found.name)}-"
    return Description(
        what=_what(progress, job),
        details=_details(progress, job, now),
        findings=[*findings, *look.unseen],
        progress=progress,
        events=happenings(events, lambda name: name == found.name or f"{name}-".startswith(pods_of)),
    )


def _of_job(found: AtHub, conditions: Sequence[Mapping[str, Any]], *, has_told: bool) -> Iterator[Finding]:
    job = found.job
    manager = job["spec"].get("managedBy")
    if manager:
        yield Finding("job", Level.SKIPPED, f"{manager} runs it (spec.managedBy), not the hub's operator")
    looked_at = (job.get("status") or {}).get("observedGeneration", 0)
    if conditions and looked_at < job["metadata"].get("generation", 0):
        said = "the operator has not looked at the job as it is now; does it run?"
        yield wrong("job", "Pending", said, "kubectl get pods -n fedward")
    for main in at_hub([job]):
        is_degraded = main.level is Level.WARNING and not holds(conditions, "Failed")
        # What is missing then are sites, each of which has a finding of its own.
        if not (is_degraded and has_told):
            level = Level.WRONG if holds(conditions, "Failed") else main.level
            then = next_step.at_hub(main.reason or "Suspended", found.namespace, found.name)
            yield replace(main, about="job", level=level, then=then)
    tracked = find(conditions, "Tracked")
    if tracked is not None and tracked["status"] == "False":
        then = next_step.at_hub(tracked["reason"], found.namespace, found.name)
        yield warning("tracking", tracked["reason"], tracked.get("message", ""), then)
    quorum = find(conditions, "QuorumMet")
    is_over = any(holds(conditions, kind) for kind in ("Completed", "Failed", "Suspended"))
    if quorum is not None and quorum["status"] == "False" and not is_over and holds(conditions, "Running"):
        then = next_step.at_hub(quorum["reason"], found.namespace, found.name)
        yield wrong("quorum", quorum["reason"], quorum.get("message", ""), then)


def _of_sites(
    found: AtHub, progress: Progress, connected: Mapping[str, Mapping[str, Any]], now: datetime
) -> Iterator[Finding]:
    for site in progress.sites:
        about, reason = f"site {site.name}", site.reason or site.state
        if site.state in _FINE and not site.reason:
            continue
        said = site.message or f"its part is {site.state}"
        heard = connected.get(site.name)
        if site.state == "Offline" and heard is not None:
            away = [each for each in (read_time(heard.get("lastTransitionTime")),) if each is not None]
            said += f" (for {span(now - away[0])})" if away else ""
        if site.state == "Waiting":
            said = f"it waits: {said}"
        yield warning(about, reason, said, next_step.at_hub(reason, found.namespace, found.name, site.name))


def _connected(look: Look, progress: Progress) -> dict[str, Mapping[str, Any]]:
    """Read since when the sites that are away are away; whoever may not see that is told nothing of it."""
    if not any(site.state == "Offline" for site in progress.sites):
        return {}
    found = look.everywhere("federatedsites.fedward.io") or ()
    said = {
        each["metadata"]["name"]: find((each.get("status") or {}).get("conditions") or (), "Connected")
        for each in found
    }
    return {name: each for name, each in said.items() if each is not None}


def _what(progress: Progress, job: Object) -> str:
    there = (job.get("status") or {}).get("participation")
    parts = [
        f"round {progress.round} of {progress.rounds}",
        f"sites {there}" if there else "",
        f"{progress.metric} {progress.value:.3f}" if progress.value is not None else "",
    ]
    return f"{progress.namespace}/{progress.name}: {progress.state}, {', '.join(part for part in parts if part)}"


def _details(progress: Progress, job: Object, now: datetime) -> dict[str, str]:
    status = job.get("status") or {}
    created = read_time(job["metadata"].get("creationTimestamp"))
    details = {
        "created": f"{span(now - created)} ago" if created else "",
        "started": f"{span(now - progress.started)} ago" if progress.started else "",
        "ended": f"{span(now - ended)} ago" if (ended := read_time(status.get("completionTime"))) else "",
        "attempt": str(progress.attempt or ""),
        "dataset": str(job["spec"]["data"]["dataset"]),
        "plan": str(status.get("planDigest", "")),
    }
    return {name: value for name, value in details.items() if value}
