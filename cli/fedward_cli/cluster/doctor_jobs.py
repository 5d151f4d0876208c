"""Which jobs do not go on, and why, in their own words: FederatedJobs at a hub, SiteJobs at a hospital."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedward_operator.checks.finding import Finding, Level, fine, skipped, warning, wrong
from fedward_operator.policy.conditions import find, holds

Conditions = Sequence[Mapping[str, Any]]


def at_hub(jobs: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Judge FederatedJobs; those that have completed are not worth a word."""
    for job in jobs:
        metadata, status = job["metadata"], job.get("status") or {}
        about, said = f"job {metadata['namespace']}/{metadata['name']}", status.get("conditions") or ()
        look = f"kubectl describe fjob {metadata['name']} -n {metadata['namespace']}"
        if holds(said, "Completed"):
            continue
        if holds(said, "Suspended"):
            yield skipped(about, "it is suspended")
        elif holds(said, "Failed"):
            # It is over, and its reason stays until somebody deletes it.
            yield _told(about, said, "Failed", Level.WARNING, look)
        elif _is_false(said, "Admitted"):
            yield _told(about, said, "Admitted", Level.WRONG, look)
        elif not holds(said, "Running"):
            yield _told(about, said, "Running", Level.WRONG, look)
        elif holds(said, "Degraded"):
            yield _told(about, said, "Degraded", Level.WARNING, look)
        else:
            yield fine(about, f"{status['state']}, round {status['progress']}, sites {status['participation']}")


def at_site(jobs: Sequence[Mapping[str, Any]], namespace: str) -> Iterator[Finding]:
    """Judge SiteJobs, as they are mirrored to the hospital."""
    for job in jobs:
        name, status = job["metadata"]["name"], job.get("status") or {}
        about, said = f"job {name}", status.get("conditions") or ()
        admitted = find(said, "Admitted")
        look = f"kubectl describe sjob {name} -n {namespace}"
        if holds(said, "Completed"):
            continue
        if status.get("state") == "Suspended":
            yield skipped(about, "the hub has suspended it")
        elif holds(said, "Failed"):
            yield _told(about, said, "Failed", Level.WARNING, look)
        elif _is_false(said, "Admitted"):
            # The policy is the hospital's own: a job that it refuses is as somebody wanted it.
            yield _told(about, said, "Admitted", Level.WARNING, look)
        elif admitted is not None and admitted["status"] == "Unknown":
            yield _waiting(about, admitted, f"fedward approve {name} -n {namespace}")
        elif not holds(said, "Running"):
            yield _told(about, said, "Running", Level.WRONG, look)
        else:
            yield fine(about, str(status.get("state", "")))


def _waiting(about: str, admitted: Mapping[str, Any], approve: str) -> Finding:
    reason, message = admitted["reason"], admitted.get("message", "")
    if reason == "ApprovalPending":
        return warning(about, reason, message or "a person of the hospital has to say yes", approve)
    return skipped(about, f"it waits: {reason} {message}".strip())


def _is_false(said: Conditions, kind: str) -> bool:
    condition = find(said, kind)
    return condition is not None and condition["status"] == "False"


def _told(about: str, said: Conditions, kind: str, level: Level, then: str) -> Finding:
    condition = find(said, kind)
    if condition is None:
        return wrong(about, "Pending", "the operator has not looked at it; does it run?", then)
    return Finding(about, level, condition.get("message") or "no more is said of it", condition["reason"], then)
