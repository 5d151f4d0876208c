"""Whether the hospital has said what may run, in one SitePolicy that holds, and whether its datasets are sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedward_operator.checks.finding import Finding, Level, Trouble, fine, skipped, warning, wrong
from fedward_operator.policy.conditions import find

POLICY, DATA = "policy", "datasets"


def sound(policies: Sequence[Mapping[str, Any]], namespace: str) -> Iterator[Finding]:
    """Judge the SitePolicies of the site's namespace."""
    look = f"kubectl describe sitepolicies -n {namespace}"
    if not policies:
        said = f"there is none in {namespace}, so no job runs here; apply one, or give it to the chart"
        yield wrong(POLICY, Trouble.NO_SITE_POLICY, said, "kubectl explain sitepolicy.spec")
        yield skipped(DATA, "a policy names them")
        return
    if len(policies) > 1:
        names = ", ".join(each["metadata"]["name"] for each in policies)
        said = f"there are several: {names}; nothing runs until one is left"
        yield wrong(POLICY, Trouble.SEVERAL_SITE_POLICIES, said, f"kubectl get sitepolicies -n {namespace}")
        yield skipped(DATA, "there is more than one policy")
        return
    (policy,) = policies
    yield _holds(policy, look)
    yield _data(policy, look)


def _holds(policy: Mapping[str, Any], look: str) -> Finding:
    name, status = policy["metadata"]["name"], policy.get("status") or {}
    said = find(status.get("conditions") or (), "Ready")
    if said is None or status.get("observedGeneration", 0) < policy["metadata"].get("generation", 0):
        return warning(POLICY, "Waiting", f"the operator has not looked at {name} as it is now", look)
    if said["status"] != "True":
        return wrong(POLICY, said["reason"], f"{name}: {said['message']}", look)
    return fine(POLICY, f"{name} holds")


def _data(policy: Mapping[str, Any], look: str) -> Finding:
    status = policy.get("status") or {}
    said = find(status.get("conditions") or (), "DataSound")
    if said is None:
        return skipped(DATA, "the operator has not looked at them yet")
    if said["status"] == "True":
        return fine(DATA, "; ".join(map(_counted, status.get("datasets") or ())))
    if said["status"] == "Unknown":
        return skipped(DATA, f"being looked at: {said['message']}; ask again later")
    # A few bad cases are left out of training; a dataset that cannot be read stops it.
    level = Level.WARNING if said["reason"] == "ProblemsFound" else Level.WRONG
    return Finding(DATA, level, said["message"], said["reason"], look)


def _counted(dataset: Mapping[str, Any]) -> str:
    return f"{dataset['name']}: {dataset.get('cases', 0)} cases, {dataset.get('complete', 0)} with nothing wrong"
