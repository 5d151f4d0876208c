"""Makes a SitePolicy's status say whether it holds, and how many trainers run or wait under it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from fedward_operator.api.meta import API_VERSION
from fedward_operator.api.policy import SitePolicySpec, SitePolicyStatus
from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.kube.settling import Settling
from fedward_operator.policy import conditions
from fedward_operator.policy.conditions import Finding
from fedward_operator.site.caches import SiteCaches
from fedward_operator.site.views import Mirrored, Policy

_NOT_HERE = ("Refused", "Completed", "Failed", "Suspended", "Waiting")


def policy_status(policy: Policy, count: int, site_jobs: list[Mirrored], now: datetime) -> dict[str, Any]:
    """Write the status, defaults and all.

    Args:
        policy: which one.
        count: how many policies there are in its namespace.
        site_jobs: the SiteJobs that it is about.
        now: an aware time.
    """
    states = [each.status.get("state", "Pending") for each in site_jobs]
    finding = _finding(policy, count)
    document = {
        "observedGeneration": policy.generation,
        "running": sum(state not in (*_NOT_HERE, "Pending") for state in states),
        "waiting": states.count("Waiting"),
        "conditions": conditions.join(policy.status.get("conditions") or (), [finding], policy.generation, now),
    }
    checked = SitePolicyStatus.model_validate(document)
    return checked.model_dump(mode="json", by_alias=True, exclude_none=True)


def _finding(policy: Policy, count: int) -> Finding:
    if count > 1:
        text = "there are several SitePolicies in this namespace, and nothing runs until one is left"
        return Finding("Ready", False, "SeveralSitePolicies", text)
    try:
        SitePolicySpec.model_validate_json(policy.spec)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("spec", *first["loc"]))
        return Finding("Ready", False, "SpecInvalid", f"{where}: {first['msg']}")
    return Finding("Ready", True, "PolicyHolds")


class PolicyStatusReconciler:
    """Reconciles the status of SitePolicies by name."""

    def __init__(
        self, client: Client, caches: SiteCaches, namespace: str, now: Callable[[], datetime], settling: Settling
    ) -> None:
        self._client, self._caches, self._namespace, self._now = client, caches, namespace, now
        self._settling = settling

    async def reconcile(self, name: str) -> float | None:
        """Make one status right; return when to come back for it."""
        policy = self._caches.policies.get((self._namespace, name))
        if policy is None:
            return None
        after = policy_status(policy, len(self._caches.policies), self._caches.mirrored.values(), self._now())
        if after == policy.status:
            self._settling.said(policy.uid)
            return None
        wait = self._settling.wait_s(policy.uid)
        if wait > 0:
            return wait
        manifest = {
            "apiVersion": API_VERSION,
            "kind": kinds.SITE_POLICY.name,
            "metadata": {"namespace": self._namespace, "name": name, "uid": policy.uid},
            "status": after,
        }
        try:
            self._caches.policies.put(await self._client.apply(kinds.SITE_POLICY, manifest, status=True))
        except ApiError as error:
            if not (error.is_gone or error.is_conflict):
                raise
        self._settling.said(policy.uid)
        return None
