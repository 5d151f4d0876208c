"""Keeps a job's children as they should be: writes what is missing or differs, and stops what is not to run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any

from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.hub import children
from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.caches import HubCaches, own
from fedward_operator.hub.certificates import CertificateSecrets
from fedward_operator.hub.decide import Decision, Stage
from fedward_operator.hub.finalizing import Finalizing
from fedward_operator.hub.owned import Manifest, Owner
from fedward_operator.hub.planning import NamedPlan, Planner
from fedward_operator.hub.settings import HubSettings
from fedward_operator.hub.views import ChildView, Key, PartView
from fedward_operator.hub.writing import write_all
from fedward_operator.kube import kinds
from fedward_operator.kube.cache import Cache
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.policy import naming
from fedward_operator.policy.failure import explain_refusal
from fedward_operator.policy.problem import Problem

_log = logging.getLogger(__name__)


class Keeper:
    """Keeps the children of every job."""

    def __init__(
        self,
        client: Client,
        caches: HubCaches,
        planner: Planner,
        finalizing: Finalizing,
        authority: HubAuthority,
        settings: HubSettings,
        now: Callable[[], datetime],
    ) -> None:
        self._client, self._caches = client, caches
        self._planner, self._finalizing = planner, finalizing
        self._certificates = CertificateSecrets(authority, settings.scraper_authority)
        self._settings, self._now = settings, now

    async def make_it_so(
        self, owner: Owner, job: Manifest, spec: FederatedJobSpec, plan: NamedPlan, decision: Decision
    ) -> Problem | None:
        """Write and delete what differs; return why a write was refused for good."""
        if decision.stage in (Stage.SUSPENDED, Stage.FAILED):
            await self._stop(owner, spec, plan, decision)
        if decision.stage not in (Stage.WAITING, Stage.SUSPENDED, Stage.RUNNING):
            return None
        held = naming.FINALIZER in job["metadata"].get("finalizers", ()) or decision.stage is not Stage.RUNNING
        kept, _ = await asyncio.gather(
            self._planner.keep(owner, spec, plan), _nothing() if held else self._finalizing.hold(owner)
        )
        if isinstance(kept, Problem) or decision.stage is not Stage.RUNNING:
            return kept if isinstance(kept, Problem) else None
        plan = kept
        try:
            await self._write_children(owner, spec, plan, decision.attempt)
        except ApiError as error:
            if not error.is_final and not (error.is_gone and "namespace" in error.message):
                raise
            _log.warning("a child was refused", extra={"job": f"{owner.namespace}/{owner.name}", "error": str(error)})
            return _why_refused(error)
        return None

    async def _write_children(self, owner: Owner, spec: FederatedJobSpec, plan: NamedPlan, attempt: int) -> None:
        caches, key = self._caches, (owner.namespace, owner.name)
        now = self._now()
        for old in caches.aggregators.of(key):
            if old.attempt < attempt and not old.deleting:
                await self._client.delete(kinds.JOB, old.namespace, old.name, old.uid)
        writes: list[Coroutine[Any, Any, object]] = []
        if self._ours(caches.claims, owner, naming.aggregator(owner.name)) is None:
            writes.append(self._client.apply(kinds.CLAIM, children.claim(owner, self._settings), force=False))
        service = self._ours(caches.services, owner, naming.aggregator(owner.name))
        if service is None or service.held != children.service_held(owner):
            writes.append(self._client.apply(kinds.SERVICE, children.service(owner), force=service is not None))
        secret = self._ours(caches.secrets, owner, naming.aggregator_tls(owner.name))
        if secret is None or not self._certificates.is_good(secret.held, now):
            manifest = self._certificates.of_aggregator(owner, now)
            writes.append(self._client.apply(kinds.SECRET, manifest, force=secret is not None))
        writes.append(self._keep_fenced(owner, spec, attempt))
        held = {"attempt": attempt, "suspend": False, "address": self._settings.door}
        writes += [write async for write in self._parts(owner, spec, plan, held)]
        await write_all(writes)

    async def _keep_fenced(self, owner: Owner, spec: FederatedJobSpec, attempt: int) -> None:
        """Keep the fence, and only then the aggregator behind it: its first container runs the researcher's image."""
        tracked = spec.tracking is not None and bool(self._settings.tracker_image)
        wanted = children.network_policy(owner, self._settings, tracked=tracked)
        fence = self._ours(self._caches.fences, owner, naming.aggregator(owner.name))
        if fence is None or fence.held != children.network_policy_held(wanted):
            await self._client.apply(kinds.NETWORK_POLICY, wanted, force=fence is not None)
        if not self._has_aggregator((owner.namespace, owner.name), owner.uid, attempt):
            manifest = children.aggregator_job(owner, spec, attempt, self._settings)
            await self._client.apply(kinds.JOB, manifest, force=False)

    async def _parts(self, owner: Owner, spec: FederatedJobSpec, plan: NamedPlan, held: Mapping[str, Any]) -> Any:
        """Yield the write of each SiteJob that is missing or not as it should be."""
        for site in plan.sites:
            part = self._caches.parts.get((naming.mailbox(site), naming.site_job(owner.name, owner.namespace)))
            if part is not None and part.job_uid != owner.uid:
                if not part.deleting:
                    yield self._client.delete(kinds.SITE_JOB, part.namespace, part.name, part.uid)
                continue
            if part is not None and _held(part) == held:
                continue
            if plan.text is None:
                plan = plan._replace(text=await self._planner.text(owner, plan))
            manifest = children.site_job(owner, spec, site, (plan.text or "", plan.digest), self._settings, held)
            yield self._client.apply(kinds.SITE_JOB, manifest)

    async def _stop(self, owner: Owner, spec: FederatedJobSpec, plan: NamedPlan, decision: Decision) -> None:
        """Take the aggregator away and tell the trainers to stop; what they have is kept."""
        key = (owner.namespace, owner.name)
        writes: list[Coroutine[Any, Any, object]] = []
        for each in self._caches.aggregators.of(key):
            ended = decision.stage is Stage.FAILED and each.failed is not None
            if each.owner == owner.uid and not each.deleting and not ended:
                writes.append(self._client.delete(kinds.JOB, each.namespace, each.name, each.uid))
        for part in self._caches.parts.of(key):
            if part.job_uid == owner.uid and not part.suspend and not part.deleting:
                held = {"attempt": part.attempt, "suspend": True, "address": part.address}
                text = await self._planner.text(owner, plan)
                manifest = children.site_job(owner, spec, part.site, (text, plan.digest), self._settings, held)
                writes.append(self._client.apply(kinds.SITE_JOB, manifest))
        await write_all(writes)

    def _has_aggregator(self, key: Key, uid: str, attempt: int) -> bool:
        return any(each.owner == uid and each.attempt == attempt for each in self._caches.aggregators.of(key))

    @staticmethod
    def _ours(cache: Cache[ChildView], owner: Owner, name: str) -> ChildView | None:
        return own(cache, (owner.namespace, name), owner.uid)


def _held(part: PartView) -> Mapping[str, Any]:
    return {"attempt": part.attempt, "suspend": part.suspend, "address": part.address}


def _why_refused(error: ApiError) -> Problem:
    if error.is_gone:
        return Problem("MailboxMissing", f"{error.message}; invite the site, or leave it out of the job")
    if error.code == 403 and "exceeded quota" not in error.message and "User" in error.message:
        return Problem("OperatorForbidden", error.message)
    return explain_refusal(error.message)


async def _nothing() -> None:
    pass
