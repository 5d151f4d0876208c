"""Makes one FederatedJob right: looks at all that is known, decides, writes what differs, says how it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from fedward_operator.api import ConfigMap, FederatedJob, FederatedSite
from fedward_operator.api.job import FederatedJobSpec, SiteSelection
from fedward_operator.api.meta import API_VERSION, Metadata
from fedward_operator.api.site_job import LONGEST_PLAN
from fedward_operator.hub import children, status
from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.bundle import bundle_of
from fedward_operator.hub.caches import HubCaches
from fedward_operator.hub.children import Owner
from fedward_operator.hub.decide import Decision, Observed, Stage, decide
from fedward_operator.hub.dismissals import Dismissals
from fedward_operator.hub.findings import UnresolvableError
from fedward_operator.hub.observer import Observer
from fedward_operator.hub.progress import dismissed
from fedward_operator.hub.resolve import resolve
from fedward_operator.hub.settings import HubSettings
from fedward_operator.hub.views import ChildView, JobView, Key, PartView
from fedward_operator.kube import events, kinds
from fedward_operator.kube.cache import Cache
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.kube.settling import Settling
from fedward_operator.policy import conditions, naming
from fedward_operator.policy.failure import explain_refusal
from fedward_operator.policy.problem import Problem
from fedward_protocol.plan import Bundle, Plan

_log = logging.getLogger(__name__)

COMPONENT = "fedward-hub"
OURS = "fedward.io/operator"
"""What `spec.managedBy` may say for this operator to act; any other name means another controller."""

_PROGRESS_S = 5.0
"""Mere numbers (rounds, metrics) are written this often at most."""

Manifest = dict[str, Any]


class _Named(NamedTuple):
    """A plan, as far as it has to be known to go on."""

    sites: tuple[str, ...]
    digest: str
    text: str | None


class HubReconciler:
    """Reconciles FederatedJobs; remembers nothing that matters."""

    def __init__(
        self,
        client: Client,
        caches: HubCaches,
        observer: Observer,
        dismissals: Dismissals,
        authority: HubAuthority,
        settings: HubSettings,
        now: Callable[[], datetime],
        settling: Settling,
    ) -> None:
        self._client, self._caches = client, caches
        self._observer, self._dismissals = observer, dismissals
        self._authority, self._settings, self._now = authority, settings, now
        self._settling = settling
        self._said_at: dict[Key, float] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Make one job right; return after how many seconds to look again."""
        view = self._caches.jobs.get(key)
        if view is None:
            self._observer.forget(key)
            self._dismissals.forget(key)
            self._said_at.pop(key, None)
            await self._clear_mailboxes(key, None)
            return None
        job = view.read()
        if job["spec"].get("managedBy", OURS) != OURS:
            return None
        try:
            spec = FederatedJobSpec.model_validate(job["spec"])
        except ValidationError as error:
            return await self._say_invalid(view, job, error)
        return await self._reconcile(view, job, spec)

    async def _reconcile(self, view: JobView, job: Manifest, spec: FederatedJobSpec) -> float | None:
        owner = _owner(view, job)
        plan: _Named | Problem = _known_plan(job["status"])
        deleting = "deletionTimestamp" in job["metadata"]
        if isinstance(plan, Problem) and not deleting:
            plan = await self._make_plan(owner, spec)
        seen = self._observe(view, job, spec, plan)
        decision = decide(seen)
        refused: Problem | None = None
        if decision.expired:
            await self._client.delete(kinds.FEDERATED_JOB, *view.key, uid=view.uid)
            return None
        if decision.stage is Stage.DELETED:
            await self._let_go(view, job)
            return None
        digest = None if isinstance(plan, Problem) else plan.digest
        if decision.attempt > seen.status.get("attempt", 0) > 0:
            # An attempt is on record before anything of it exists: no two of them can ever have one number.
            await self._write_status(view, job, status.status_of(seen, decision, digest))
        if not isinstance(plan, Problem):
            refused = await self._make_it_so(owner, job, spec, plan, decision)
        self._listen(view, decision, seen)
        if refused is not None:
            seen = self._observe(view, job, spec, plan, refused)
            decision = decide(seen)
        waits = await self._say(view, job, status.status_of(seen, decision, digest))
        again = [each for each in (waits, decision.look_again_s, 30.0 if refused else None) if each is not None]
        return min(again) if again else None

    def _observe(
        self,
        view: JobView,
        job: Manifest,
        spec: FederatedJobSpec,
        plan: _Named | Problem,
        refused: Problem | None = None,
    ) -> Observed:
        now = self._now()
        recorded = job["status"].get("attempt", 0)
        jobs = [each for each in self._caches.aggregators.of(view.key) if each.owner == view.uid and not each.deleting]
        aggregator = max(
            (each for each in jobs if each.attempt >= recorded), key=lambda each: each.attempt, default=None
        )
        attempt = aggregator.attempt if aggregator else recorded
        pods = [pod for pod in self._caches.pods.of(view.key) if pod.owner == view.uid and pod.attempt == attempt]
        not_created = None
        if aggregator is not None:
            refusals = self._caches.refusals.of((aggregator.namespace, aggregator.name))
            not_created = refusals[-1].message if refusals else None
        return Observed(
            spec=spec,
            generation=job["metadata"].get("generation", 0),
            deleting="deletionTimestamp" in job["metadata"],
            status=job["status"],
            sites=None if isinstance(plan, Problem) else plan.sites,
            connected=self.connected(now),
            now=now,
            unplanned=plan if isinstance(plan, Problem) else None,
            parts={part.site: part for part in self._caches.parts.of(view.key) if part.job_uid == view.uid},
            aggregator=aggregator,
            pods=pods,
            not_created=not_created,
            progress=self._observer.latest(view.key, view.uid, attempt),
            refused=refused,
            revoked=frozenset() if isinstance(plan, Problem) else self._revoked(plan.sites),
        )

    def _revoked(self, sites: Sequence[str]) -> frozenset[str]:
        known = ((name, self._caches.sites.get(("", name))) for name in sites)
        return frozenset(name for name, site in known if site is not None and site.invited.revoked)

    def connected(self, now: datetime) -> dict[str, bool]:
        """Say of each site whether it can be heard."""
        found = {}
        for site in self._caches.sites.values():
            beat = self._caches.heartbeats.get((naming.mailbox(site.name), naming.HEARTBEAT))
            found[site.name] = site.is_connected(beat, now)
        return found

    # ------------------------------------------------------------ the plan

    async def _make_plan(self, owner: Owner, spec: FederatedJobSpec) -> _Named | Problem:
        """Take the plan that was made, or make it."""
        try:
            found = await self._client.get(kinds.CONFIG_MAP, owner.namespace, naming.plan(owner.name))
        except ApiError as error:
            if not error.is_gone:
                raise
        else:
            return _taken(found, owner)
        try:
            bundle = await self._bundle(owner, spec)
            job = _as_document(owner, spec)
            plan = resolve(job, self._sites(), bundle, self._settings.federation)
        except UnresolvableError as error:
            return Problem("SpecInvalid", str(error)[:2048])
        # The operator keeps the deadline itself, so that it can still be changed.
        text = plan.model_copy(update={"active_deadline_s": None}).canonical().decode()
        if len(text) > LONGEST_PLAN - 200_000:
            return Problem("PlanTooLarge", f"the plan has {len(text)} characters; make the bundle smaller")
        made = Plan.parse(text.encode())
        return _Named(made.sites, made.digest().hex(), text)

    async def _bundle(self, owner: Owner, spec: FederatedJobSpec) -> Bundle | None:
        if spec.model.bundle is None:
            return None
        name = spec.model.bundle.config_map
        try:
            found = await self._client.get(kinds.CONFIG_MAP, owner.namespace, name)
        except ApiError as error:
            if error.is_gone:
                return None
            raise
        data = found.get("data") or {}
        return bundle_of(ConfigMap(api_version="v1", kind="ConfigMap", metadata=Metadata(name="bundle"), data=data))

    def _sites(self) -> list[FederatedSite]:
        return [
            FederatedSite(
                api_version=API_VERSION,
                kind="FederatedSite",
                metadata=Metadata(name=site.name, labels=dict(site.labels)),
            )
            for site in self._caches.sites.values()
        ]

    async def _keep_plan(self, owner: Owner, spec: FederatedJobSpec, plan: _Named) -> _Named | Problem:
        """Write the plan where it is missing: first, because everything else, and an operator to come, goes by it."""
        if not self._is_missing(self._caches.plans, owner, naming.plan(owner.name)):
            return plan
        if plan.text is None:
            made = await self._remake(owner, spec, plan)
            if isinstance(made, Problem):
                return made
            plan = made
        await self._client.apply(kinds.CONFIG_MAP, children.plan_map(owner, plan.text or ""), force=False)
        return plan

    async def _remake(self, owner: Owner, spec: FederatedJobSpec, plan: _Named) -> _Named | Problem:
        """Make a plan again that somebody has deleted; it has to come out as it was."""
        selection = SiteSelection(names=plan.sites)
        made = await self._make_plan(owner, spec.model_copy(update={"sites": selection}))
        if isinstance(made, Problem) or made.digest == plan.digest:
            return made
        text = f'the ConfigMap "{naming.plan(owner.name)}" is gone and cannot be made again as it was'
        return Problem("PlanLost", text)

    async def _text(self, owner: Owner, plan: _Named) -> str:
        if plan.text is not None:
            return plan.text
        found = await self._client.get(kinds.CONFIG_MAP, owner.namespace, naming.plan(owner.name))
        text: str = found["data"]["plan.json"]
        return text

    # ------------------------------------------------------------ the children

    async def _make_it_so(
        self, owner: Owner, job: Manifest, spec: FederatedJobSpec, plan: _Named, decision: Decision
    ) -> Problem | None:
        """Write and delete what differs; return why a write was refused for good."""
        if decision.stage in (Stage.SUSPENDED, Stage.FAILED):
            await self._stop(owner, spec, plan, decision)
        if decision.stage not in (Stage.WAITING, Stage.SUSPENDED, Stage.RUNNING):
            return None
        held = naming.FINALIZER in job["metadata"].get("finalizers", ()) or decision.stage is not Stage.RUNNING
        kept, _ = await asyncio.gather(self._keep_plan(owner, spec, plan), _nothing() if held else self._hold(owner))
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

    async def _write_children(self, owner: Owner, spec: FederatedJobSpec, plan: _Named, attempt: int) -> None:
        caches, key = self._caches, (owner.namespace, owner.name)
        now = self._now()
        for old in caches.aggregators.of(key):
            if old.attempt < attempt and not old.deleting:
                await self._client.delete(kinds.JOB, old.namespace, old.name, old.uid)
        writes: list[Coroutine[Any, Any, object]] = []
        if self._is_missing(caches.claims, owner, naming.aggregator(owner.name)):
            writes.append(self._client.apply(kinds.CLAIM, children.claim(owner, self._settings), force=False))
        service = self._ours(caches.services, owner, naming.aggregator(owner.name))
        if service is None or service.held != children.service_held(owner):
            writes.append(self._client.apply(kinds.SERVICE, children.service(owner), force=service is not None))
        secret = self._ours(caches.secrets, owner, naming.aggregator_tls(owner.name))
        if secret is None or not self._is_good(secret, now):
            files, after = self._authority.for_aggregator(owner.name, owner.namespace, owner.uid, now)
            manifest = children.tls_secret(owner, files, after, self._authority.mark)
            writes.append(self._client.apply(kinds.SECRET, manifest, force=secret is not None))
        writes.append(self._keep_fenced(owner, spec, attempt))
        held = {"attempt": attempt, "suspend": False, "address": self._settings.door}
        writes += [write async for write in self._parts(owner, spec, plan, held)]
        await _all(writes)

    async def _keep_fenced(self, owner: Owner, spec: FederatedJobSpec, attempt: int) -> None:
        """Keep the fence, and only then the aggregator behind it: its first container runs the researcher's image."""
        wanted = children.network_policy(owner, self._settings)
        fence = self._ours(self._caches.fences, owner, naming.aggregator(owner.name))
        if fence is None or fence.held != children.network_policy_held(wanted):
            await self._client.apply(kinds.NETWORK_POLICY, wanted, force=fence is not None)
        if not self._has_aggregator((owner.namespace, owner.name), owner.uid, attempt):
            manifest = children.aggregator_job(owner, spec, attempt, self._settings)
            await self._client.apply(kinds.JOB, manifest, force=False)

    async def _parts(self, owner: Owner, spec: FederatedJobSpec, plan: _Named, held: Mapping[str, Any]) -> Any:
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
                plan = plan._replace(text=await self._text(owner, plan))
            manifest = children.site_job(owner, spec, site, (plan.text or "", plan.digest), self._settings, held)
            yield self._client.apply(kinds.SITE_JOB, manifest)

    async def _stop(self, owner: Owner, spec: FederatedJobSpec, plan: _Named, decision: Decision) -> None:
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
                text = await self._text(owner, plan)
                manifest = children.site_job(owner, spec, part.site, (text, plan.digest), self._settings, held)
                writes.append(self._client.apply(kinds.SITE_JOB, manifest))
        await _all(writes)

    def _is_good(self, secret: ChildView, now: datetime) -> bool:
        is_young = secret.held[naming.RENEW_AFTER] > conditions.show_time(now)
        return bool(is_young and secret.held[naming.AUTHORITY] == self._authority.mark)

    def _has_aggregator(self, key: Key, uid: str, attempt: int) -> bool:
        return any(each.owner == uid and each.attempt == attempt for each in self._caches.aggregators.of(key))

    def _ours(self, cache: Cache[ChildView], owner: Owner, name: str) -> ChildView | None:
        found = cache.get((owner.namespace, name))
        return found if found is not None and found.job_uid == owner.uid and not found.deleting else None

    def _is_missing(self, cache: Cache[ChildView], owner: Owner, name: str) -> bool:
        return self._ours(cache, owner, name) is None

    # ------------------------------------------------------------ the end

    async def _hold(self, owner: Owner) -> None:
        """Add the finalizer: from now on there is something in other namespaces."""
        metadata = {
            "namespace": owner.namespace,
            "name": owner.name,
            "uid": owner.uid,
            "finalizers": [naming.FINALIZER],
        }
        manifest = {"apiVersion": API_VERSION, "kind": kinds.FEDERATED_JOB.name, "metadata": metadata}
        await self._client.apply(kinds.FEDERATED_JOB, manifest)

    async def _let_go(self, view: JobView, job: Manifest) -> None:
        self._observer.forget(view.key)
        self._dismissals.forget(view.key)
        left = await self._clear_mailboxes(view.key, view.uid)
        finalizers = job["metadata"].get("finalizers", [])
        if left or naming.FINALIZER not in finalizers:
            return
        index = finalizers.index(naming.FINALIZER)
        path = f"/metadata/finalizers/{index}"
        operations = [{"op": "test", "path": path, "value": naming.FINALIZER}, {"op": "remove", "path": path}]
        try:
            await self._client.patch(kinds.FEDERATED_JOB, *view.key, operations)
        except ApiError as error:
            if not error.is_gone:
                raise

    async def _clear_mailboxes(self, key: Key, uid: str | None) -> bool:
        """Delete a job's SiteJobs, of any uid where None; tell whether some are left."""
        parts = [part for part in self._caches.parts.of(key) if uid in (None, part.job_uid)]
        await _all(
            [
                self._client.delete(kinds.SITE_JOB, part.namespace, part.name, part.uid)
                for part in parts
                if not part.deleting
            ]
        )
        return bool(parts)

    # ------------------------------------------------------------ what is said

    def _listen(self, view: JobView, decision: Decision, seen: Observed) -> None:
        if decision.stage is Stage.RUNNING and any(pod.ready for pod in seen.pods):
            self._observer.follow(view.key, view.uid, decision.attempt)
            self._dismissals.want(view.key, view.uid, seen.revoked - dismissed(seen.progress))
        elif decision.stage is not Stage.RUNNING:
            self._observer.leave(view.key)
            self._dismissals.forget(view.key)

    async def _say(self, view: JobView, job: Manifest, after: Manifest) -> float | None:
        """Write the status where it differs, not more often than useful; return when to come back for it."""
        before = job["status"]
        if after == before:
            self._settling.said(view.uid)
            return None
        now = asyncio.get_running_loop().time()
        wait = self._settling.wait_s(view.uid)
        if status.is_mere_progress(before, after):
            wait = max(wait, self._said_at.get(view.key, -_PROGRESS_S) + _PROGRESS_S - now)
        if wait > 0:
            return wait
        await self._write_status(view, job, after)
        self._settling.said(view.uid)
        self._said_at[view.key] = now
        return None

    async def _write_status(self, view: JobView, job: Manifest, after: Manifest) -> None:
        about = {"namespace": view.key[0], "name": view.key[1], "uid": view.uid}
        for note in status.notes(job["status"], after):
            await events.say(self._client, COMPONENT, kinds.FEDERATED_JOB, about, note, self._now(), view.key[0])
        manifest = {"apiVersion": API_VERSION, "kind": kinds.FEDERATED_JOB.name, "metadata": about, "status": after}
        try:
            self._caches.jobs.put(await self._client.apply(kinds.FEDERATED_JOB, manifest, subresource="status"))
        except ApiError as error:
            # Gone, or another of the same name by now: the next event tells.
            if not (error.is_gone or error.is_conflict):
                raise

    async def _say_invalid(self, view: JobView, job: Manifest, error: ValidationError) -> float | None:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("spec", *first["loc"]))
        finding = conditions.Finding("Admitted", False, "SpecInvalid", f"{where}: {first['msg']}")
        generation = job["metadata"].get("generation", 0)
        before = job["status"].get("conditions") or []
        joined = conditions.join(before, [finding], generation, self._now())
        joined += [each for each in before if each["type"] != finding.type]  # how it ended stays
        after = {**job["status"], "state": "SpecInvalid", "observedGeneration": generation, "conditions": joined}
        if "deletionTimestamp" in job["metadata"]:
            await self._let_go(view, job)
        elif after != job["status"]:
            await self._write_status(view, job, after)
        return None


def _owner(view: JobView, job: Manifest) -> Owner:
    return Owner(view.key[0], view.key[1], view.uid, job["metadata"].get("labels") or {})


def _known_plan(before: Mapping[str, Any]) -> _Named | Problem:
    if not before.get("planDigest"):
        return Problem("Unplanned", "the plan is not made yet")
    return _Named(tuple(site["name"] for site in before.get("sites") or ()), before["planDigest"], None)


def _taken(found: Manifest, owner: Owner) -> _Named | Problem:
    if (found["metadata"].get("labels") or {}).get(naming.LABEL_UID) != owner.uid:
        text = f'the ConfigMap "{naming.plan(owner.name)}" is there already and is not this job\'s; delete or rename it'
        return Problem("NameTaken", text)
    text = found["data"]["plan.json"]
    plan = Plan.parse(text.encode())
    return _Named(plan.sites, plan.digest().hex(), text)


def _as_document(owner: Owner, spec: FederatedJobSpec) -> FederatedJob:
    metadata = Metadata(name=owner.name, namespace=owner.namespace, uid=owner.uid)
    return FederatedJob(api_version=API_VERSION, kind="FederatedJob", metadata=metadata, spec=spec)


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


async def _all(writes: list[Coroutine[Any, Any, object]]) -> None:
    """Carry out every write, also when one fails; then raise what went wrong first."""
    for result in await asyncio.gather(*writes, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
