"""Says how a job is, in its status and in Events: each change once, and not more often than useful."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from pydantic import ValidationError

from fedward_operator.api.meta import API_VERSION
from fedward_operator.hub import status
from fedward_operator.hub.caches import HubCaches
from fedward_operator.hub.notes import notes
from fedward_operator.hub.owned import Manifest
from fedward_operator.hub.views import JobView, Key
from fedward_operator.kube import events, kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.kube.settling import Settling
from fedward_operator.policy import conditions

COMPONENT = "fedward-hub"

_PROGRESS_S = 5.0
"""Mere numbers (rounds, metrics) are written this often at most."""


class Telling:
    """Writes the statuses of FederatedJobs."""

    def __init__(self, client: Client, caches: HubCaches, now: Callable[[], datetime], settling: Settling) -> None:
        self._client, self._caches, self._now, self._settling = client, caches, now, settling
        self._said_at: dict[Key, float] = {}

    def forget(self, key: Key) -> None:
        """Take in that a job is gone."""
        self._said_at.pop(key, None)

    async def say(self, view: JobView, job: Manifest, after: Manifest) -> float | None:
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
        await self.write(view, job, after)
        self._settling.said(view.uid)
        self._said_at[view.key] = now
        return None

    async def write(self, view: JobView, job: Manifest, after: Manifest) -> None:
        """Write the status now, with an Event of each transition."""
        about = {"namespace": view.key[0], "name": view.key[1], "uid": view.uid}
        for note in notes(job["status"], after):
            await events.say(self._client, COMPONENT, kinds.FEDERATED_JOB, about, note, self._now(), view.key[0])
        manifest = {"apiVersion": API_VERSION, "kind": kinds.FEDERATED_JOB.name, "metadata": about, "status": after}
        try:
            self._caches.jobs.put(await self._client.apply(kinds.FEDERATED_JOB, manifest, subresource="status"))
        except ApiError as error:
            # Gone, or another of the same name by now: the next event tells.
            if not (error.is_gone or error.is_conflict):
                raise


def invalid(job: Manifest, error: ValidationError, now: datetime) -> Manifest:
    """Write the status of a job whose spec cannot be used."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in ("spec", *first["loc"]))
    finding = conditions.Finding("Admitted", False, "SpecInvalid", f"{where}: {first['msg']}")
    generation = job["metadata"].get("generation", 0)
    before = job["status"].get("conditions") or []
    joined = conditions.join(before, [finding], generation, now)
    joined += [each for each in before if each["type"] != finding.type]  # how it ended stays
    return {**job["status"], "state": "SpecInvalid", "observedGeneration": generation, "conditions": joined}
