"""The hub role's process: everything put together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from fedward_operator import app
from fedward_operator.hub.aggregators import Aggregators
from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.authority_secret import AuthorityReconciler, AuthoritySecret
from fedward_operator.hub.caches import WATCHED, HubCaches
from fedward_operator.hub.dismissals import Dismissals
from fedward_operator.hub.observer import Observer
from fedward_operator.hub.reconciler import HubReconciler
from fedward_operator.hub.settings import HubSettings
from fedward_operator.hub.signer import SigningReconciler
from fedward_operator.hub.sites import SiteStatusReconciler
from fedward_operator.hub.telling import COMPONENT
from fedward_operator.hub.views import Key
from fedward_operator.kube import kinds
from fedward_operator.kube.access import Access
from fedward_operator.kube.cache import Cache
from fedward_operator.kube.client import Client
from fedward_operator.kube.controller import Controller
from fedward_operator.kube.election import Election
from fedward_operator.kube.informer import Informer
from fedward_operator.kube.settling import Settling
from fedward_operator.metrics import Metrics
from fedward_operator.metrics import hub as shown
from fedward_operator.roles import running
from fedward_protocol import probes
from fedward_protocol.scraping import Secured

LEASE = "fedward-hub"


@dataclass(frozen=True, slots=True)
class HubProcess:
    """What the process was started with.

    Attributes:
        authority_secret: where the authority is kept; None for one that was read from a folder.
        namespace: of the operator itself: its Lease is there.
        me: tells this replica from others.
        metrics: host:port of probes and metrics.
        secured: where metrics are by mutual TLS instead.
        aggregator_address: host:port of a job's aggregator.
    """

    access: Access
    settings: HubSettings
    authority: HubAuthority
    authority_secret: AuthoritySecret | None
    namespace: str
    me: str
    metrics: str
    aggregator_address: Callable[[Key], str]
    secured: Secured | None = None


async def serve(started: HubProcess, stop: asyncio.Event) -> None:
    """Lead and reconcile until told to stop.

    Raises:
        LostError: another replica leads, or may by now.
        AccessError, OSError: it cannot begin.
    """
    metrics, chance = Metrics("hub"), random.Random()  # noqa: S311 spreads repetitions, guards nothing

    def now() -> datetime:
        return datetime.now(UTC)

    async with Client(started.access, COMPONENT, metrics.meter("hub")) as client:
        jobs: Controller[Key] = Controller("FederatedJob", lambda key: hub.reconcile(key), meter=metrics, chance=chance)
        sites: Controller[str] = Controller(
            "FederatedSite", lambda name: status.reconcile(name), meter=metrics, chance=chance, workers=4
        )
        requests: Controller[str] = Controller(
            "CertificateSigningRequest", lambda name: signer.reconcile(name), meter=metrics, chance=chance, workers=2
        )
        caches = HubCaches(
            lambda key: jobs.queue.add(key) if key[1] else None, sites.queue.add, requests.queue.add, now
        )
        signer = SigningReconciler(client, caches, started.authority, started.settings.site_certificate_life, now)
        aggregators = Aggregators(
            lambda: started.authority.own(now()), started.aggregator_address, started.settings.federation
        )
        observer, dismissals = Observer(aggregators, jobs.queue.add, chance), Dismissals(aggregators, chance)
        hub = HubReconciler(
            client, caches, observer, dismissals, started.authority, started.settings, now, Settling(jobs.is_busy)
        )

        def look_at_jobs() -> None:
            for key in caches.jobs:
                jobs.queue.add(key)

        def look_at_all() -> None:
            look_at_jobs()
            for _, site in caches.sites:
                sites.queue.add(site)

        status = SiteStatusReconciler(client, caches, started.authority, look_at_jobs, now)
        informers = [
            Informer(client, kind, getattr(caches, name), meter=metrics, chance=chance, selector=selector)
            for name, (kind, selector) in WATCHED.items()
        ]
        kept = list(_authority(client, started, look_at_all, now, metrics, chance))
        informers += [informer for informer, _, _ in kept]
        own = app.OwnKinds(
            client, {kinds.FEDERATED_JOB: caches.jobs, kinds.FEDERATED_SITE: caches.sites}, namespace=None
        )
        synced = [own.synced, *(informer.synced for informer in informers)]
        health = running.Health(informers, own.is_deaf)
        metrics.watch_queues(
            lambda: [
                ("FederatedJob", len(jobs.queue), jobs.queue.age_s),
                ("FederatedSite", len(sites.queue), sites.queue.age_s),
                ("CertificateSigningRequest", len(requests.queue), requests.queue.age_s),
                *(("Authority", len(keeping.queue), keeping.queue.age_s) for _, keeping, _ in kept),
            ]
        )
        metrics.watch_caches(caches.sizes)
        metrics.show(lambda: shown.jobs(caches))
        metrics.show(lambda: shown.sites(caches, now()))
        metrics.show(lambda: shown.authority(started.authority))
        election = Election(client, started.namespace, LEASE, started.me, chance)
        metrics.watch_process(lambda: election.is_won, lambda: all(event.is_set() for event in synced))
        with probes.serve(started.metrics, metrics.registry, health.ready, health.alive, started.secured):
            health.obstacle = None  # a standby is ready to take over
            if not await running.won(election, stop):
                return
            for _, keeping, name in kept:
                keeping.queue.add(name)  # not before: with a standby it would wait, and grow old
            try:
                await running.until_stopped(
                    stop,
                    [
                        health.tick(),
                        election.hold(),
                        own.resync(),
                        app.run(own, started.access, None, stop),
                        *(informer.run() for informer in informers),
                        *(running.after([], keeping) for _, keeping, _ in kept),
                        running.after([*synced, started.authority.ready], jobs),
                        running.after(synced, sites),
                        running.after([*synced, started.authority.ready], requests),
                    ],
                )
            finally:
                await observer.close()
                await dismissals.close()
            await election.release()


def _authority(
    client: Client,
    started: HubProcess,
    changed: Callable[[], None],
    now: Callable[[], datetime],
    metrics: Metrics,
    chance: random.Random,
) -> Iterator[tuple[Informer, Controller[str], str]]:
    """Yield what keeps the authority as its Secret says, and its key; nothing for one that was read from a folder."""
    secret = started.authority_secret
    if secret is None:
        return
    keeper = AuthorityReconciler(client, secret, started.authority, changed, now)
    controller: Controller[str] = Controller("Authority", keeper.reconcile, meter=metrics, chance=chance, workers=1)
    cache: Cache[str] = Cache(lambda item: item["metadata"]["uid"], lambda key, _: controller.queue.add(key[1]))
    informer = Informer(
        client,
        kinds.SECRET,
        cache,
        meter=metrics,
        chance=chance,
        namespace=secret.namespace,
        selector={"fieldSelector": f"metadata.name={secret.name}"},
    )
    yield informer, controller, secret.name
