"""Has the hospital's datasets inspected: starts and removes the Jobs that a decision asks for."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from pydantic import ValidationError

from fedward_operator.api.policy import Dataset, InspectedDataset, SitePolicySpec
from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.policy.failure import explain_refusal
from fedward_operator.site import inspection, preflight
from fedward_operator.site.caches import SiteCaches
from fedward_operator.site.inspection import Observed
from fedward_operator.site.settings import SiteSettings
from fedward_operator.site.views import Policy

_log = logging.getLogger(__name__)


def said_before(policy: Policy) -> dict[str, InspectedDataset]:
    """Read what the status says of the datasets; what cannot be read, as another version wrote it, is forgotten."""
    said = {}
    for each in policy.status.get("datasets") or ():
        try:
            read = InspectedDataset.model_validate(each)
        except ValidationError:
            continue
        said[read.name] = read
    return said


class Inspector:
    """Inspects the datasets of the one policy that holds."""

    def __init__(self, client: Client, caches: SiteCaches, settings: SiteSettings, now: Callable[[], datetime]) -> None:
        self._client, self._caches, self._settings, self._now = client, caches, settings, now
        self._deleted: set[str] = set()
        """Uids of Jobs that are known still, and that the API server has been told to delete."""

    def cases(self) -> Mapping[str, int]:
        """Say how many cases there are in each dataset, as far as the status tells."""
        policies = self._caches.policies.values()
        said = said_before(policies[0]) if len(policies) == 1 else {}
        return {name: each.cases for name, each in said.items() if each.cases is not None}

    async def inspect(self, policy: Policy, spec: SitePolicySpec) -> tuple[tuple[InspectedDataset, ...], float | None]:
        """Do what is to be done; return what to say of the datasets, and after how many seconds to look again."""
        decision = inspection.decide(self._observe(policy, spec))
        self._deleted &= {job.uid for job in self._caches.preflights.values()}
        for job in decision.delete:
            if job.uid not in self._deleted:
                await self._client.delete(kinds.JOB, job.namespace, job.name, job.uid)
                self._deleted.add(job.uid)
        said = decision.said
        if decision.start is not None:
            failed = await self._start(policy, spec, decision.start)
            said = tuple(failed if failed and failed.name == each.name else each for each in said)
        return said, decision.look_again_s

    def _observe(self, policy: Policy, spec: SitePolicySpec) -> Observed:
        jobs = self._caches.preflights.values()
        refusals = {job.uid: self._caches.refusals.of((job.namespace, job.name)) for job in jobs}
        return Observed(
            datasets=spec.datasets,
            asked=policy.asked,
            before=said_before(policy),
            jobs=jobs,
            pods={job.uid: self._caches.preflight_pods.of(job.uid) for job in jobs},
            not_created={uid: said[-1].message for uid, said in refusals.items() if said},
            in_use=self._in_use(),
            now=self._now(),
        )

    def _in_use(self) -> frozenset[str]:
        running = [job for job in self._caches.trainers.values() if not (job.complete or job.failed)]
        parts = [self._caches.mirrored.get((job.namespace, job.owner)) for job in running]
        return frozenset(json.loads(part.spec)["dataset"] for part in parts if part is not None)

    async def _start(self, policy: Policy, spec: SitePolicySpec, dataset: Dataset) -> InspectedDataset | None:
        """Start an inspection; return what to say if it was refused for good."""
        basis = inspection.basis_of(dataset, policy.asked)
        manifest = preflight.preflight_job(policy, spec, dataset, basis, self._settings)
        try:
            # Behind its fence or not at all: it reads the scans.
            await self._client.apply(kinds.NETWORK_POLICY, preflight.network_policy(self._settings))
            self._caches.preflights.put(await self._client.apply(kinds.JOB, manifest))
        except ApiError as error:
            if not error.is_final:
                raise
            _log.warning("an inspection was refused", extra={"dataset": dataset.name, "error": str(error)})
            return inspection.refused(dataset, basis, explain_refusal(error.message), self._now())
        return None
