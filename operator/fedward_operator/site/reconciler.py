"""Makes one SiteJob right at the hospital: asks the policy, signs the work order, keeps the trainer, answers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from fedward_operator.api.meta import API_VERSION
from fedward_operator.api.policy import SitePolicySpec
from fedward_operator.api.site_job import SiteJobSpec
from fedward_operator.kube import events, kinds
from fedward_operator.kube.cache import Cache
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.kube.events import Note
from fedward_operator.kube.kinds import Kind
from fedward_operator.kube.settling import Settling
from fedward_operator.policy import conditions, naming
from fedward_operator.policy.admission.admit import admit
from fedward_operator.policy.admission.approval import approval_digest
from fedward_operator.policy.admission.concurrency import may_run
from fedward_operator.policy.admission.verdict import Grant, Refused, Waits
from fedward_operator.policy.failure import explain_refusal
from fedward_operator.policy.pods import JobView
from fedward_operator.policy.problem import Problem
from fedward_operator.site import orders, trainer
from fedward_operator.site.caches import SiteCaches
from fedward_operator.site.decide import Observed, Stage, decide, has_ended, status_of
from fedward_operator.site.settings import SiteSettings
from fedward_operator.site.views import Mirrored

_log = logging.getLogger(__name__)

COMPONENT = "fedward-site"

Manifest = dict[str, Any]


class SiteReconciler:
    """Reconciles the hospital's SiteJobs, one at a time: they share the policy's places."""

    def __init__(
        self,
        client: Client,
        caches: SiteCaches,
        key: Ed25519PrivateKey,
        settings: SiteSettings,
        now: Callable[[], datetime],
        settling: Settling,
    ) -> None:
        self._client, self._caches, self._key, self._settings, self._now = client, caches, key, settings, now
        self._settling = settling

    def policy(self) -> SitePolicySpec | None:
        """Return the hospital's policy; None if there is none, or more than one: then nobody can tell which holds."""
        found = self._caches.policies.values()
        if len(found) != 1:
            return None
        try:
            return SitePolicySpec.model_validate_json(found[0].spec)
        except ValidationError:
            return None

    async def reconcile(self, name: str) -> float | None:
        """Make one SiteJob right; return after how many seconds to look again."""
        mirrored = self._caches.mirrored.get((self._settings.namespace, name))
        if mirrored is None or mirrored.deleting:
            return None
        spec, policy = SiteJobSpec.model_validate_json(mirrored.spec), self.policy()
        seen = self._observe(mirrored, spec, policy)
        decision = decide(seen)
        if policy is not None and isinstance(seen.verdict, Grant) and decision.stage is Stage.RUNNING:
            refused = await self._start(mirrored, spec, seen.verdict, policy, seen.trainer)
            if refused is not None:
                seen = self._observe(mirrored, spec, policy, refused)
                decision = decide(seen)
        elif decision.stage in (Stage.REFUSED, Stage.WAITING, Stage.SUSPENDED):
            await self._stop(name)
        approved = mirrored.approved
        after = status_of(seen, decision, (approval_digest(spec), approved))
        waits = await self._say_in_time(mirrored, after)
        again = [each for each in (waits, decision.look_again_s, 30.0 if seen.refused else None) if each is not None]
        return min(again) if again else None

    def _observe(
        self, mirrored: Mirrored, spec: SiteJobSpec, policy: SitePolicySpec | None, refused: Problem | None = None
    ) -> Observed:
        now = self._now()
        jobs = {job.attempt: job for job in self._caches.trainers.of(mirrored.name)}
        job = jobs.get(spec.attempt)
        pods = [pod for pod in self._caches.pods.of(mirrored.name) if pod.attempt == spec.attempt]
        refusals = self._caches.refusals.of((job.namespace, job.name)) if job else []
        verdict = self._verdict(mirrored, spec, policy, now)
        return Observed(
            spec=spec,
            generation=mirrored.generation,
            status=mirrored.status,
            verdict=verdict,
            has_turn=policy is not None and mirrored.name in self._turns(mirrored.name, policy),
            trainer=job,
            pods=pods,
            not_created=refusals[-1].message if refusals else None,
            refused=refused,
            now=now,
        )

    def _verdict(
        self, mirrored: Mirrored, spec: SiteJobSpec, policy: SitePolicySpec | None, now: datetime
    ) -> Grant | Refused | Waits:
        if (spec.site, spec.federation) != (self._settings.site, self._settings.federation):
            text = f"this is {self._settings.site} of {self._settings.federation}"
            return Refused("SiteMismatch", text)
        if len(self._caches.policies) > 1:
            return Waits("SeveralSitePolicies", "the hospital's policy is not clear at the moment", None)
        return admit(spec, policy, self._settings.trainer_image, mirrored.approved, now)

    def _turns(self, name: str, policy: SitePolicySpec) -> set[str]:
        """Say who has a place: those that run, then those that may, the oldest first."""
        candidates = []
        for each in sorted(self._caches.mirrored.values(), key=lambda each: (each.created, each.name)):
            running = any(not _is_over(job) for job in self._caches.trainers.of(each.name))
            admitted = conditions.holds(each.status.get("conditions") or (), "Admitted")
            spec = json.loads(each.spec)
            over = has_ended(each.status, spec["attempt"]) or spec.get("suspend") or each.deleting
            if running or (not over and (admitted or each.name == name)):
                candidates.append((each.name, running))
        return set(may_run(policy.concurrency, candidates))

    async def _start(
        self,
        mirrored: Mirrored,
        spec: SiteJobSpec,
        grant: Grant,
        policy: SitePolicySpec,
        running: JobView | None,
    ) -> Problem | None:
        """Write what of a trainer is missing; return why it was refused for good."""
        basis = orders.basis_of(spec, policy, grant)
        for job in self._caches.trainers.of(mirrored.name):
            if job.attempt != spec.attempt and not job.deleting:
                await self._client.delete(kinds.JOB, job.namespace, job.name, job.uid)
        try:
            writes = [self._write_order(mirrored, spec, policy, basis)]
            claim = trainer.state_claim(mirrored, policy, self._settings)
            if claim is not None and self._caches.claims.get(_key(claim)) is None:
                writes.append(self._write(self._caches.claims, kinds.CLAIM, claim))
            if running is None:
                manifest = trainer.trainer_job(mirrored, spec, grant, policy, basis, self._settings)
                writes.append(self._begin(manifest))
            elif running.order != basis and not running.deleting:
                # The hospital asks for or lends something else now than when this trainer began.
                writes.append(self._client.delete(kinds.JOB, running.namespace, running.name, running.uid))
            await asyncio.gather(*writes)
        except ValueError as error:
            return Problem("WorkOrderTooLong", str(error))
        except ApiError as error:
            if not error.is_final:
                raise
            _log.warning("a child was refused", extra={"site_job": mirrored.name, "error": str(error)})
            return explain_refusal(error.message)
        return None

    async def _begin(self, job: Manifest) -> None:
        """Write a trainer's Job, behind its fence or not at all: it runs the researcher's code beside the scans."""
        await self._client.apply(kinds.NETWORK_POLICY, trainer.network_policy(self._settings))
        await self._write(self._caches.trainers, kinds.JOB, job)

    async def _write_order(self, mirrored: Mirrored, spec: SiteJobSpec, policy: SitePolicySpec, basis: str) -> None:
        now = self._now()
        known = self._caches.orders.get((self._settings.namespace, naming.order(mirrored.name)))
        if known is None or known.basis != basis or known.renew_after <= conditions.show_time(now):
            manifest = orders.order_secret(mirrored, spec, policy, basis, self._key, self._settings, now)
            self._caches.orders.put(await self._client.apply(kinds.SECRET, manifest))

    async def _write(self, cache: Cache[Any], kind: Kind, manifest: Manifest) -> None:
        cache.put(await self._client.apply(kind, manifest))

    async def _stop(self, name: str) -> None:
        for job in self._caches.trainers.of(name):
            if not job.deleting and not _is_over(job):
                await self._client.delete(kinds.JOB, job.namespace, job.name, job.uid)

    async def _say_in_time(self, mirrored: Mirrored, after: Manifest) -> float | None:
        """Write the status where it differs; return when to come back for it."""
        if after == mirrored.status:
            self._settling.said(mirrored.uid)
            return None
        wait = self._settling.wait_s(mirrored.uid)
        if wait > 0:
            return wait
        await self._say(mirrored, after)
        self._settling.said(mirrored.uid)
        return None

    async def _say(self, mirrored: Mirrored, after: Manifest) -> None:
        about = {"namespace": self._settings.namespace, "name": mirrored.name, "uid": mirrored.uid}
        before = {each["type"]: each for each in mirrored.status.get("conditions") or ()}
        for now in after["conditions"]:
            was = before.get(now["type"])
            # Why a job is not admitted is what keeps it from running, too.
            is_told = now["type"] == "Running" or (now["type"], now["status"]) == ("Admitted", "True")
            if not is_told or (was and (was["status"], was["reason"]) == (now["status"], now["reason"])):
                continue
            occasion = f"{now['status']} after {was['lastTransitionTime'] + was['reason'] if was else 'nothing'}"
            fine = now["status"] == "True" or now["reason"] in ("Completed", "Suspended", "Starting", "WaitingForTurn")
            note = Note("Normal" if fine else "Warning", now["reason"], now["message"] or now["reason"], occasion)
            namespace = self._settings.namespace
            await events.say(self._client, COMPONENT, kinds.SITE_JOB, about, note, self._now(), namespace)
        manifest = {"apiVersion": API_VERSION, "kind": kinds.SITE_JOB.name, "metadata": about, "status": after}
        try:
            self._caches.mirrored.put(await self._client.apply(kinds.SITE_JOB, manifest, subresource="status"))
        except ApiError as error:
            if not (error.is_gone or error.is_conflict):
                raise


def _is_over(job: JobView) -> bool:
    return job.complete or job.failed is not None


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]
