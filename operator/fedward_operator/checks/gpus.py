"""Whether the GPUs that the policy lends are there: some node that may be used has that many of the resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from fedward_operator.api.policy import GpuOffer
from fedward_operator.checks.finding import Finding, Trouble, fine, skipped, wrong
from fedward_operator.policy.admission.gpu import resource_name

ABOUT = "GPUs"


def visible(policies: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]] | None, then: str) -> Finding:
    """Judge what the nodes offer; None where they may not be seen."""
    if len(policies) != 1:
        return skipped(ABOUT, "the one policy that would lend them is not there")
    given = policies[0]["spec"].get("gpus")
    if given is None:
        return skipped(ABOUT, "the policy lends none")
    try:
        offer = GpuOffer.model_validate(given)
    except ValidationError:
        return skipped(ABOUT, "the policy's words on them cannot be read")
    name = resource_name(offer)
    if nodes is None:
        # A right to read nodes is the whole cluster's: a hospital need not give it for a test.
        return skipped(ABOUT, f"the policy lends {offer.count} {name}; only an administrator may look at nodes: {then}")
    chosen = [node for node in nodes if _has_labels(node, offer.node_selector)]
    having = {node["metadata"]["name"]: _count(node, name) for node in chosen if _count(node, name) >= offer.count}
    if having:
        return fine(ABOUT, f"{name}: " + ", ".join(f"{count} on {node}" for node, count in having.items()))
    labels = ",".join(f"{key}={value}" for key, value in offer.node_selector.items())
    where = f" with {labels}" if labels else ""
    said = f"the policy lends {offer.count} {name}, and no node{where} has that many; does its device plugin run?"
    return wrong(ABOUT, Trouble.GPU_MISSING, said, "kubectl get nodes -o yaml | grep -A 9 allocatable")


def _has_labels(node: Mapping[str, Any], selector: Mapping[str, str]) -> bool:
    labels = node["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _count(node: Mapping[str, Any], resource: str) -> int:
    found = str((node.get("status") or {}).get("allocatable", {}).get(resource, "0"))
    return int(found) if found.isdigit() else 0
