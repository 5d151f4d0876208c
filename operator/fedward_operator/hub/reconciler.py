"""Makes one FederatedJob right: looks at all that is known, decides, writes what differs, says how it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.hub import status, telling
from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.caches import HubCaches
from fedward_operator.hub.decide import Decision, Observed, Stage, decide
from fedward_operator.hub.dismissals import Dismissals
from fedward_operator.hub.finalizing import Finalizing
from fedward_operator.hub.keeping import Keeper
from fedward_operator.hub.observer import Observer
from fedward_operator.hub.owned import Manifest, Owner
from fedward_operator.hub.planning import NamedPlan, Planner, known_plan
from fedward_operator.hub.progress import dismissed
from fedward_operator.hub.settings import HubSettings
from fedward_operator.hub.telling import Telling
from fedward_operator.hub.tracking.finding import Trackers
from fedward_operator.hub.tracking.keeping import TrackerKeeper
from fedward_operator.hub.views import JobView, Key
from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.settling import Settling
from fedward_operator.policy import naming, pods
from fedward_operator.policy.problem import Problem

OURS = "fedward.io/operator"
"""What `spec.managedBy` may say for this operator to act; any other name means another controller."""


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
        self._client, self._caches, self._now = client, caches, now
        self._observer, self._dismissals = observer, dismissals
        self._planner, self._finalizing = Planner(client, caches, settings.federation), Finalizing(client, caches)
        self._keeper = Keeper(client, caches, self._planner, self._finalizing, authority, settings, now)
        self._tracking = TrackerKeeper(client, caches, authority, settings, now)
        self._tracks = bool(settings.tracker_image)
        self._telling = Telling(client, caches, now, settling)

    async def reconcile(self, key: Key) -> float | None:
        """Make one job right; return after how many seconds to look again."""
        view = self._caches.jobs.get(key)
        if view is None:
            self._observer.forget(key)
            self._dismissals.forget(key)
            self._telling.forget(key)
            await self._finalizing.clear(key, None)
            return None
        job = view.read()
        if job["spec"].get("managedBy", OURS) != OURS:
            return None
        try:
            spec = FederatedJobSpec.model_validate(job["spec"])
        except ValidationError as error:
            await self._say_invalid(view, job, error)
            return None
        return await self._reconcile(view, job, spec)

    async def _reconcile(self, view: JobView, job: Manifest, spec: FederatedJobSpec) -> float | None:
        owner = _owner(view, job)
        plan: NamedPlan | Problem = known_plan(job["status"])
        deleting = "deletionTimestamp" in job["metadata"]
        if isinstance(plan, Problem) and not deleting:
            plan = await self._planner.make(owner, spec)
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
            await self._telling.write(view, job, status.status_of(seen, decision, digest))
        if not isinstance(plan, Problem):
            refused = await self._keeper.make_it_so(owner, job, spec, plan, decision)
        untracked = await self._tracking.make_it_so(owner, job, spec, decision)
        seen = replace(seen, trackers=self._trackers(view, owner, decision.attempt, untracked))
        self._listen(view, decision, seen)
        if refused is not None:
            seen = replace(self._observe(view, job, spec, plan, refused), trackers=seen.trackers)
            decision = decide(seen)
        waits = await self._telling.say(view, job, status.status_of(seen, decision, digest))
        again = [
            each for each in (waits, decision.look_again_s, 30.0 if refused or untracked else None) if each is not None
        ]
        return min(again) if again else None

    def _observe(
        self,
        view: JobView,
        job: Manifest,
        spec: FederatedJobSpec,
        plan: NamedPlan | Problem,
        refused: Problem | None = None,
    ) -> Observed:
        now = self._now()
        recorded = job["status"].get("attempt", 0)
        jobs = [each for each in self._caches.aggregators.of(view.key) if each.owner == view.uid and not each.deleting]
        aggregator = max(
            (each for each in jobs if each.attempt >= recorded), key=lambda each: each.attempt, default=None
        )
        attempt = aggregator.attempt if aggregator else recorded
        its_pods = [pod for pod in self._caches.pods.of(view.key) if pod.owner == view.uid and pod.attempt == attempt]
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
            pods=its_pods,
            not_created=not_created,
            progress=self._observer.latest(view.key, view.uid, attempt),
            refused=refused,
            revoked=frozenset() if isinstance(plan, Problem) else self._revoked(plan.sites),
            trackers=self._trackers(view, _owner(view, job), attempt),
        )

    def _trackers(self, view: JobView, owner: Owner, attempt: int, refused: Problem | None = None) -> Trackers:
        namespace, name = view.key

        def own(job: str) -> pods.JobView | None:
            found = self._caches.trackers.get((namespace, job))
            return found if found and found.owner == view.uid and not found.deleting else None

        follower, finisher = own(naming.follower_job(name, attempt)), own(naming.finisher_job(name))
        return Trackers(self._tracks, follower, finisher, refused, self._tracking.has_volume(owner))

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

    def _listen(self, view: JobView, decision: Decision, seen: Observed) -> None:
        if decision.stage is Stage.RUNNING and any(pod.ready for pod in seen.pods):
            self._observer.follow(view.key, view.uid, decision.attempt)
            self._dismissals.want(view.key, view.uid, seen.revoked - dismissed(seen.progress))
        elif decision.stage is not Stage.RUNNING:
            self._observer.leave(view.key)
            self._dismissals.forget(view.key)

    async def _let_go(self, view: JobView, job: Manifest) -> None:
        self._observer.forget(view.key)
        self._dismissals.forget(view.key)
        await self._finalizing.let_go(view, job)

    async def _say_invalid(self, view: JobView, job: Manifest, error: ValidationError) -> None:
        after = telling.invalid(job, error, self._now())
        if "deletionTimestamp" in job["metadata"]:
            await self._let_go(view, job)
        elif after != job["status"]:
            await self._telling.write(view, job, after)


def _owner(view: JobView, job: Manifest) -> Owner:
    return Owner(view.key[0], view.key[1], view.uid, job["metadata"].get("labels") or {})
