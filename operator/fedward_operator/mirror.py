"""Mirrors SiteJobs from the hub's mailbox to the hospital's cluster, and what was decided there back to the hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fedward_operator.api.meta import API_VERSION
from fedward_operator.kube import kinds
from fedward_operator.kube.cache import Cache
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.policy import naming
from fedward_operator.site.views import Asked, Mirrored


class Mirror:
    """Reconciles one site's SiteJobs by name; begins once what the hub asks is known, never before."""

    def __init__(
        self,
        hub: Client,
        here: Client,
        asked: Cache[Asked],
        mirrored: Cache[Mirrored],
        mailbox: str,
        namespace: str,
        learned: Callable[[dict[str, Any]], None],
    ) -> None:
        """Make a mirror.

        Args:
            hub: the hub's API server.
            here: the hospital's.
            asked: SiteJobs in the mailbox.
            mirrored: SiteJobs here.
            mailbox: the namespace at the hub.
            namespace: the namespace here.
            learned: given a SiteJob here as it was just written.
        """
        self._hub, self._here, self._asked, self._mirrored = hub, here, asked, mirrored
        self._mailbox, self._namespace, self._learned = mailbox, namespace, learned
        self._written: dict[str, tuple[str, int]] = {}

    async def reconcile(self, name: str) -> float | None:
        """Make one SiteJob the same on both sides: spec down, status up."""
        asked = self._asked.get((self._mailbox, name))
        mirrored = self._mirrored.get((self._namespace, name))
        if mirrored is not None and (asked is None or asked.deleting or asked.uid != mirrored.hub_uid):
            # What the hub has taken back, or asked anew under the same name, is over here as well.
            if not mirrored.deleting:
                await self._here.delete(kinds.SITE_JOB, self._namespace, name, mirrored.uid)
            return None
        if asked is None or asked.deleting:
            return None
        if mirrored is None or mirrored.hub_generation != asked.generation or self._was_edited(asked, mirrored):
            await self._down(asked)
        elif mirrored.status and self._is_news(asked, mirrored):
            await self._up(asked, mirrored)
        return None

    def _was_edited(self, asked: Asked, mirrored: Mirrored) -> bool:
        # Where this cluster's CRD is of another version it keeps a spec otherwise: writing it again changes nothing.
        return mirrored.spec != asked.spec and self._written.get(asked.name) != (asked.uid, mirrored.generation)

    def _is_news(self, asked: Asked, mirrored: Mirrored) -> bool:
        return (
            self._answer(mirrored) != asked.status and mirrored.status.get("observedGeneration") == mirrored.generation
        )

    def _answer(self, mirrored: Mirrored) -> dict[str, Any]:
        status = json.loads(json.dumps(mirrored.status))
        for condition in (status, *status.get("conditions", ())):
            condition["observedGeneration"] = mirrored.hub_generation
        return dict(status)

    async def _down(self, asked: Asked) -> None:
        labels = {name: value for name, value in asked.labels.items() if name.startswith("fedward.io/")}
        manifest = {
            "apiVersion": API_VERSION,
            "kind": kinds.SITE_JOB.name,
            "metadata": {
                "namespace": self._namespace,
                "name": asked.name,
                "labels": labels | {naming.LABEL_SIDE: "site"},
                "annotations": {naming.HUB_UID: asked.uid, naming.HUB_GENERATION: str(asked.generation)},
            },
            "spec": json.loads(asked.spec),
        }
        written = await self._here.apply(kinds.SITE_JOB, manifest)
        self._written[asked.name] = asked.uid, written["metadata"]["generation"]
        self._learned(written)

    async def _up(self, asked: Asked, mirrored: Mirrored) -> None:
        metadata = {"namespace": self._mailbox, "name": asked.name, "uid": asked.uid}
        manifest = {
            "apiVersion": API_VERSION,
            "kind": kinds.SITE_JOB.name,
            "metadata": metadata,
            "status": self._answer(mirrored),
        }
        try:
            await self._hub.apply(kinds.SITE_JOB, manifest, subresource="status")
        except ApiError as error:
            if not (error.is_gone or error.is_conflict):
                raise
