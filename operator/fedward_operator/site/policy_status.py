"""Makes a SitePolicy's status say whether it holds, what its datasets look like, and how many trainers run or wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from fedward_operator.api.meta import API_VERSION
from fedward_operator.api.policy import InspectedDataset, SitePolicySpec, SitePolicyStatus
from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.kube.settling import Settling
from fedward_operator.policy import conditions
from fedward_operator.policy.conditions import Finding
from fedward_operator.site import inspection
from fedward_operator.site.caches import SiteCaches
from fedward_operator.site.inspector import Inspector, said_before
from fedward_operator.site.views import Mirrored, Policy

_NOT_HERE = ("Refused", "Completed", "Failed", "Suspended", "Waiting")


def policy_status(
    policy: Policy, count: int, site_jobs: list[Mirrored], datasets: Sequence[InspectedDataset] | None, now: datetime
) -> dict[str, Any]:
    """Write the status, defaults and all.

    Args:
        policy: which one.
        count: how many policies there are in its namespace.
        site_jobs: the SiteJobs that it is about.
        datasets: what its datasets look like; None where nobody may look, since it does not hold.
        now: an aware time.
    """
    states = [each.status.get("state", "Pending") for each in site_jobs]
    findings = [_finding(policy, count)]
    if datasets is not None:
        findings.append(inspection.sound(datasets))
    else:
        datasets = tuple(said_before(policy).values())
    document = {
        "observedGeneration": policy.generation,
        "running": sum(state not in (*_NOT_HERE, "Pending") for state in states),
        "waiting": states.count("Waiting"),
        "datasets": datasets,
        "conditions": conditions.join(policy.status.get("conditions") or (), findings, policy.generation, now),
    }
    checked = SitePolicyStatus.model_validate(document)
    return checked.model_dump(mode="json", by_alias=True, exclude_none=True)


def _finding(policy: Policy, count: int) -> Finding:
    if count > 1:
        text = "there are several SitePolicies in this namespace, and nothing runs until one is left"
        return Finding("Ready", False, "SeveralSitePolicies", text)
    spec = _spec(policy)
    if isinstance(spec, ValidationError):
        first = spec.errors()[0]
        where = ".".join(str(part) for part in ("spec", *first["loc"]))
        return Finding("Ready", False, "SpecInvalid", f"{where}: {first['msg']}")
    return Finding("Ready", True, "PolicyHolds")


def _spec(policy: Policy) -> SitePolicySpec | ValidationError:
    try:
        return SitePolicySpec.model_validate_json(policy.spec)
    except ValidationError as error:
        return error


class PolicyStatusReconciler:
    """Reconciles the status of SitePolicies by name, and has their datasets inspected."""

    def __init__(
        self,
        client: Client,
        caches: SiteCaches,
        namespace: str,
        now: Callable[[], datetime],
        settling: Settling,
        inspector: Inspector,
    ) -> None:
        self._client, self._caches, self._namespace, self._now = client, caches, namespace, now
        self._settling, self._inspector = settling, inspector

    async def reconcile(self, name: str) -> float | None:
        """Make one status right; return when to come back for it."""
        policy = self._caches.policies.get((self._namespace, name))
        if policy is None:
            return None
        count, spec = len(self._caches.policies), _spec(policy)
        datasets, look_again_s = None, None
        if count == 1 and isinstance(spec, SitePolicySpec):
            datasets, look_again_s = await self._inspector.inspect(policy, spec)
        after = policy_status(policy, count, self._caches.mirrored.values(), datasets, self._now())
        if after == policy.status:
            self._settling.said(policy.uid)
            return look_again_s
        wait = self._settling.wait_s(policy.uid)
        if wait > 0:
            return wait if look_again_s is None else min(wait, look_again_s)
        manifest = {
            "apiVersion": API_VERSION,
            "kind": kinds.SITE_POLICY.name,
            "metadata": {"namespace": self._namespace, "name": name, "uid": policy.uid},
            "status": after,
        }
        try:
            self._caches.policies.put(await self._client.apply(kinds.SITE_POLICY, manifest, subresource="status"))
        except ApiError as error:
            if not (error.is_gone or error.is_conflict):
                raise
        self._settling.said(policy.uid)
        return look_again_s
