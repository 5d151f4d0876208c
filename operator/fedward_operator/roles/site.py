"""The site role's process: everything put together. It goes on while the hub is away."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedward_operator import app
from fedward_operator.kube import kinds
from fedward_operator.kube.access import Access
from fedward_operator.kube.client import Client
from fedward_operator.kube.controller import Controller
from fedward_operator.kube.election import Election
from fedward_operator.kube.errors import ApiError, UnavailableError
from fedward_operator.kube.informer import Informer
from fedward_operator.kube.settling import Settling
from fedward_operator.metrics import Metrics
from fedward_operator.metrics import site as shown
from fedward_operator.mirror import Mirror
from fedward_operator.policy import naming
from fedward_operator.roles import running
from fedward_operator.site import preflight, trainer
from fedward_operator.site.belonging import Belonging
from fedward_operator.site.caches import WATCHED, SiteCaches
from fedward_operator.site.heartbeat import Heartbeat
from fedward_operator.site.hub_door import HubDoor
from fedward_operator.site.inspector import Inspector
from fedward_operator.site.keepsakes import Keepsakes, signing_key
from fedward_operator.site.policy_status import PolicyStatusReconciler
from fedward_operator.site.reconciler import COMPONENT, SiteReconciler
from fedward_operator.site.settings import SiteSettings
from fedward_protocol import probes
from fedward_protocol.scraping import Secured

_log = logging.getLogger(__name__)

LEASE = "fedward-site-operator"
_FENCE_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class SiteProcess:
    """What the process was started with.

    Attributes:
        here: the way to the hospital's API server.
        hub: the way to the hub's, for a site that was given a kubeconfig; or the door, for one that was invited.
        key: signs work orders; one of the site's own, kept in a Secret, where None.
        me: tells this replica from others.
        metrics: host:port of probes and metrics.
        secured: where metrics are by mutual TLS instead.
    """

    here: Access
    hub: Access | HubDoor
    settings: SiteSettings
    key: Ed25519PrivateKey | None
    me: str
    metrics: str
    secured: Secured | None = None


async def serve(started: SiteProcess, stop: asyncio.Event) -> None:
    """Lead, mirror and reconcile until told to stop.

    Raises:
        LostError: another replica leads, or may by now.
        AccessError, OSError: it cannot begin.
    """
    settings, mailbox = started.settings, naming.mailbox(started.settings.site)
    metrics, chance = Metrics("site", settings.site), random.Random()  # noqa: S311 spreads repetitions, guards nothing

    def now() -> datetime:
        return datetime.now(UTC)

    belonging = Belonging(started.hub, f"{COMPONENT}-{settings.site}", metrics.meter("hub"))
    async with (
        Client(started.here, COMPONENT, metrics.meter("site")) as here,
        belonging.hub as hub,
    ):
        keepsakes = Keepsakes(here, settings.namespace)
        key = started.key or await signing_key(keepsakes)

        parts: Controller[str] = Controller(
            "SiteJob", lambda name: site.reconcile(name), meter=metrics, chance=chance, workers=1
        )
        mirrors: Controller[str] = Controller(
            "Mirror", lambda name: mirror.reconcile(name), meter=metrics, chance=chance, workers=8
        )

        policies: Controller[str] = Controller(
            "SitePolicy", lambda name: policy_status.reconcile(name), meter=metrics, chance=chance, workers=1
        )

        def look_at_policies() -> None:
            for _, name in caches.policies:
                policies.queue.add(name)

        def look_at_all() -> None:
            for _, name in caches.mirrored:
                parts.queue.add(name)
            look_at_policies()

        def look_at_mirror(name: str) -> None:
            mirrors.queue.add(name)
            look_at_policies()

        caches = SiteCaches(
            lambda name: parts.queue.add(name) if name else None, look_at_all, look_at_mirror, look_at_policies
        )
        site = SiteReconciler(here, caches, key, settings, now, Settling(parts.is_busy))
        inspector = Inspector(here, caches, settings, now)
        policy_status = PolicyStatusReconciler(
            here, caches, settings.namespace, now, Settling(policies.is_busy), inspector
        )
        mirror = Mirror(hub, here, caches.asked, caches.mirrored, mailbox, settings.namespace, caches.mirrored.put)
        selector = {"labelSelector": f"{naming.LABEL_SIDE}=hub"}
        asked = Informer(
            hub, kinds.SITE_JOB, caches.asked, meter=metrics, chance=chance, namespace=mailbox, selector=selector
        )
        informers = [
            Informer(
                here,
                kind,
                getattr(caches, name),
                meter=metrics,
                chance=chance,
                namespace=settings.namespace,
                selector=selector,
            )
            for name, (kind, selector) in WATCHED.items()
        ]
        own = app.OwnKinds(
            here, {kinds.SITE_JOB: caches.mirrored, kinds.SITE_POLICY: caches.policies}, settings.namespace
        )
        synced = [own.synced, *(informer.synced for informer in informers)]
        watched = list(informers)
        health = running.Health(watched, own.is_deaf)

        async def follow_hub() -> None:
            await belonging.joined.wait()
            watched.append(asked)  # until it has joined, a site hears nothing
            await asked.run()

        heartbeat = Heartbeat(hub, settings.site, site.policy, inspector.cases, belonging, now)

        async def beat() -> None:
            await belonging.joined.wait()
            await heartbeat.run()

        metrics.watch_queues(
            lambda: [
                ("SiteJob", len(parts.queue), parts.queue.age_s),
                ("Mirror", len(mirrors.queue), mirrors.queue.age_s),
                ("SitePolicy", len(policies.queue), policies.queue.age_s),
            ]
        )
        metrics.watch_caches(caches.sizes)
        metrics.show(lambda: shown.parts(caches))
        metrics.show(lambda: shown.policy(caches, site.policy(), inspector.cases()))
        metrics.show(lambda: shown.membership(heartbeat.is_heard, belonging.not_after))
        election = Election(here, settings.namespace, LEASE, started.me, chance)
        metrics.watch_process(lambda: election.is_won, lambda: all(event.is_set() for event in synced))
        with probes.serve(started.metrics, metrics.registry, health.ready, health.alive, started.secured):
            health.obstacle = None  # a standby is ready to take over
            if not await running.won(election, stop):
                return
            await running.until_stopped(
                stop,
                [
                    health.tick(),
                    election.hold(),
                    own.resync(),
                    app.run(own, started.here, settings.namespace, stop),
                    belonging.keep(keepsakes, settings, now),
                    follow_hub(),
                    *(informer.run() for informer in informers),
                    _fence(here, settings),
                    beat(),
                    running.after(synced, parts),
                    running.after([own.synced, asked.synced], mirrors),
                    running.after(synced, policies),
                ],
            )
            await election.release()


async def _fence(here: Client, settings: SiteSettings) -> None:
    """Keep the network of trainers and inspections fenced, whoever takes a fence down."""
    while True:
        for fence in (trainer.network_policy(settings), preflight.network_policy(settings)):
            try:
                await here.apply(kinds.NETWORK_POLICY, fence)
            except (ApiError, UnavailableError) as error:
                _log.warning("cannot fence a network", extra={"name": fence["metadata"]["name"], "error": str(error)})
        await asyncio.sleep(_FENCE_AGAIN_S)
