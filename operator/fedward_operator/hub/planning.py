"""Which plan a job goes by: the one that was made, or one made now; and it is kept where everybody reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fedward_operator.api import ConfigMap, FederatedJob, FederatedSite
from fedward_operator.api.job import FederatedJobSpec, SiteSelection
from fedward_operator.api.meta import API_VERSION, Metadata
from fedward_operator.api.site_job import LONGEST_PLAN
from fedward_operator.hub import children
from fedward_operator.hub.bundle import bundle_of
from fedward_operator.hub.caches import HubCaches, own
from fedward_operator.hub.findings import UnresolvableError
from fedward_operator.hub.owned import Manifest, Owner
from fedward_operator.hub.resolve import resolve
from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.policy import naming
from fedward_operator.policy.problem import Problem
from fedward_protocol.plan import Bundle, Plan


class NamedPlan(NamedTuple):
    """A plan, as far as it has to be known to go on."""

    sites: tuple[str, ...]
    digest: str
    text: str | None


def known_plan(status: Mapping[str, Any]) -> NamedPlan | Problem:
    """Read from a job's status which plan it goes by."""
    if not status.get("planDigest"):
        return Problem("Unplanned", "the plan is not made yet")
    return NamedPlan(tuple(site["name"] for site in status.get("sites") or ()), status["planDigest"], None)


class Planner:
    """Makes jobs' plans, and keeps each in a ConfigMap beside its job."""

    def __init__(self, client: Client, caches: HubCaches, federation: str) -> None:
        self._client, self._caches, self._federation = client, caches, federation

    async def make(self, owner: Owner, spec: FederatedJobSpec) -> NamedPlan | Problem:
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
            plan = resolve(job, self._sites(), bundle, self._federation)
        except UnresolvableError as error:
            return Problem("SpecInvalid", str(error)[:2048])
        # The operator keeps the deadline itself, so that it can still be changed.
        text = plan.model_copy(update={"active_deadline_s": None}).canonical().decode()
        if len(text) > LONGEST_PLAN - 200_000:
            return Problem("PlanTooLarge", f"the plan has {len(text)} characters; make the bundle smaller")
        made = Plan.parse(text.encode())
        return NamedPlan(made.sites, made.digest().hex(), text)

    async def keep(self, owner: Owner, spec: FederatedJobSpec, plan: NamedPlan) -> NamedPlan | Problem:
        """Write the plan where it is missing: first, because everything else, and an operator to come, goes by it."""
        if own(self._caches.plans, (owner.namespace, naming.plan(owner.name)), owner.uid) is not None:
            return plan
        if plan.text is None:
            made = await self._remake(owner, spec, plan)
            if isinstance(made, Problem):
                return made
            plan = made
        await self._client.apply(kinds.CONFIG_MAP, children.plan_map(owner, plan.text or ""), force=False)
        return plan

    async def text(self, owner: Owner, plan: NamedPlan) -> str:
        """Return the plan itself."""
        if plan.text is not None:
            return plan.text
        found = await self._client.get(kinds.CONFIG_MAP, owner.namespace, naming.plan(owner.name))
        text: str = found["data"]["plan.json"]
        return text

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

    async def _remake(self, owner: Owner, spec: FederatedJobSpec, plan: NamedPlan) -> NamedPlan | Problem:
        """Make a plan again that somebody has deleted; it has to come out as it was."""
        selection = SiteSelection(names=plan.sites)
        made = await self.make(owner, spec.model_copy(update={"sites": selection}))
        if isinstance(made, Problem) or made.digest == plan.digest:
            return made
        text = f'the ConfigMap "{naming.plan(owner.name)}" is gone and cannot be made again as it was'
        return Problem("PlanLost", text)


def _taken(found: Manifest, owner: Owner) -> NamedPlan | Problem:
    if (found["metadata"].get("labels") or {}).get(naming.LABEL_UID) != owner.uid:
        text = f'the ConfigMap "{naming.plan(owner.name)}" is there already and is not this job\'s; delete or rename it'
        return Problem("NameTaken", text)
    text = found["data"]["plan.json"]
    plan = Plan.parse(text.encode())
    return NamedPlan(plan.sites, plan.digest().hex(), text)


def _as_document(owner: Owner, spec: FederatedJobSpec) -> FederatedJob:
    metadata = Metadata(name=owner.name, namespace=owner.namespace, uid=owner.uid)
    return FederatedJob(api_version=API_VERSION, kind="FederatedJob", metadata=metadata, spec=spec)
