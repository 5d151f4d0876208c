"""Keeps a job's trackers: one that follows an attempt, and after the end one that logs what is left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.api.tracking import Tracking
from fedward_operator.hub import children
from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.caches import HubCaches, own
from fedward_operator.hub.certificates import CertificateSecrets
from fedward_operator.hub.decide import Decision, Stage
from fedward_operator.hub.owned import Manifest, Owner
from fedward_operator.hub.settings import HubSettings
from fedward_operator.hub.tracking import children as trackers
from fedward_operator.hub.tracking.finding import is_settled
from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError, UnavailableError
from fedward_operator.policy import naming
from fedward_operator.policy.failure import explain_refusal
from fedward_operator.policy.problem import Problem

_log = logging.getLogger(__name__)

_ENDED = {Stage.COMPLETED: "Completed", Stage.FAILED: "Failed"}


class TrackerKeeper:
    """Keeps the trackers of every job. Whatever goes wrong here, the job itself goes on."""

    def __init__(
        self,
        client: Client,
        caches: HubCaches,
        authority: HubAuthority,
        settings: HubSettings,
        now: Callable[[], datetime],
    ) -> None:
        self._client, self._caches = client, caches
        self._certificates = CertificateSecrets(authority, settings.scraper_authority)
        self._settings, self._now = settings, now

    async def make_it_so(
        self, owner: Owner, job: Manifest, spec: FederatedJobSpec, decision: Decision
    ) -> Problem | None:
        """Write and delete what differs; return why a write was refused."""
        try:
            await self._write(owner, job, spec, decision)
        except (ApiError, UnavailableError) as error:
            # Whatever it is, the job's own status is still to be written, and its aggregator to be heard.
            _log.warning("a tracker was refused", extra={"job": f"{owner.namespace}/{owner.name}", "error": str(error)})
            return explain_refusal(str(error))
        return None

    async def _write(self, owner: Owner, job: Manifest, spec: FederatedJobSpec, decision: Decision) -> None:
        wanted = self._wanted(owner, job, spec, decision)
        family = self._caches.trackers.of((owner.namespace, owner.name))
        # Anybody may label a Job of his own namespace so.
        there = [each for each in family if each.namespace == owner.namespace]
        others = [each for each in there if each.deleting or each.owner != owner.uid or each.name != wanted]
        for each in others:
            if not each.deleting:
                # It counts as there until its pod is gone: two at a time would log each point twice.
                await self._client.delete(kinds.JOB, each.namespace, each.name, each.uid, last=True)
        if wanted is not None and not others and spec.tracking is not None:
            await self._keep(owner, job, spec.tracking, decision, is_there=bool(there))

    def _wanted(self, owner: Owner, job: Manifest, spec: FederatedJobSpec, decision: Decision) -> str | None:
        """Name the Job that is to be there."""
        if spec.tracking is None or not self._settings.tracker_image:
            return None
        if decision.stage is Stage.RUNNING and decision.attempt > 0:
            return naming.follower_job(owner.name, decision.attempt)
        if decision.stage in _ENDED and self._is_to_be_finished(owner, job["status"]):
            return naming.finisher_job(owner.name)
        return None

    def _is_to_be_finished(self, owner: Owner, status: Mapping[str, Any]) -> bool:
        """Tell whether the job has left a volume, its aggregator has let go of it, and not all is logged yet."""
        if not status.get("completionTime"):
            return False
        finisher = self._caches.trackers.get((owner.namespace, naming.finisher_job(owner.name)))
        if finisher is None and is_settled(status, self._now()):
            return False
        pods = [pod for pod in self._caches.pods.of((owner.namespace, owner.name)) if pod.owner == owner.uid]
        return self.has_volume(owner) and all(pod.phase in ("Succeeded", "Failed") for pod in pods)

    def has_volume(self, owner: Owner) -> bool:
        """Tell whether there is a volume that the job could have left anything on."""
        return own(self._caches.claims, (owner.namespace, naming.aggregator(owner.name)), owner.uid) is not None

    async def _keep(
        self, owner: Owner, job: Manifest, tracking: Tracking, decision: Decision, *, is_there: bool
    ) -> None:
        fence = trackers.network_policy(owner, self._settings)
        known = own(self._caches.fences, (owner.namespace, naming.tracker(owner.name)), owner.uid)
        if known is None or known.held != children.network_policy_held(fence):
            await self._client.apply(kinds.NETWORK_POLICY, fence, force=known is not None)
        await self._keep_certified(owner)
        if is_there:
            return
        if decision.stage is Stage.RUNNING:
            manifest = trackers.follower_job(owner, tracking, decision.attempt, self._settings)
        else:
            ended = _ended(job["status"], decision)
            manifest = trackers.finisher_job(owner, tracking, decision.attempt, ended, self._settings)
        await self._client.apply(kinds.JOB, manifest, force=False)

    async def _keep_certified(self, owner: Owner) -> None:
        now, name = self._now(), naming.tracker_tls(owner.name)
        known = own(self._caches.secrets, (owner.namespace, name), owner.uid)
        if known is None or not self._certificates.is_good(known.held, now):
            manifest = self._certificates.of_tracker(owner, now)
            await self._client.apply(kinds.SECRET, manifest, force=known is not None)


def _ended(status: Mapping[str, Any], decision: Decision) -> dict[str, object]:
    """Say how the job ended, as its tracker reads it."""
    why = decision.why or Problem("Unknown", "")
    return {
        "state": _ENDED[decision.stage],
        "attempt": decision.attempt,
        "startTime": status.get("startTime"),
        "completionTime": status.get("completionTime"),
        "failure": {"reason": why.reason, "message": why.message} if decision.stage is Stage.FAILED else None,
    }
