"""What `fedward plan` prints: the plan as resolved, and the processes, data and filters that a run of it would have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from fedward_cli.documents import Documents
from fedward_cli.local.commands import threads_of
from fedward_cli.plan_summary import camel, closing, filters_of, summary


def document(documents: Documents) -> dict[str, Any]:
    """Give the plan and what would start to programs."""
    plan = documents.plan()
    return {
        "plan": plan.model_dump(mode="json", by_alias=True),
        "processes": processes(documents),
        "sites": [_site(documents, name) for name in plan.sites],
        "notices": notices(documents),
    }


def text(documents: Documents) -> Iterator[RenderableType]:
    """Say the plan and what would start to people."""
    plan, spec = documents.plan(), documents.job.spec
    cores = threads_of(len(plan.sites), os.cpu_count() or 1)
    closes = closing(spec, f"all {len(plan.sites)} sites", str(plan.rounds.quorum))
    yield summary(documents.job, documents.bundle, closes, {"cores each": str(cores)})
    yield ""
    yield _sites(documents)
    yield f"\nwould start: {', '.join(processes(documents))}"
    yield from (f"note: {notice}" for notice in notices(documents))


def processes(documents: Documents) -> list[str]:
    """Name the processes of a local run, as their logs are called."""
    sites = documents.plan().sites
    return ["initialise", "aggregator", *(f"{part}-{site}" for site in sites for part in ("gateway", "trainer"))]


def notices(documents: Documents) -> list[str]:
    """Say what of the file a local run does not act on, and what is not there yet."""
    spec, plan = documents.job.spec, documents.plan()
    found = [
        f"{name} has no folder {documents.data_folder(name)}"
        for name in plan.sites
        if not documents.data_folder(name).is_dir()
    ]
    for_clusters = ("resources", "pod_template", "ttl_seconds_after_finished", "managed_by")
    found += [f"only a cluster acts on spec.{camel(name)}" for name in for_clusters if name in spec.model_fields_set]
    if spec.suspend:
        found.append("spec.suspend is true: a cluster would not start it, a local run does")
    return found


def _sites(documents: Documents) -> Table:
    table = Table("site", "dataset", "floor", "budget", box=None, padding=(0, 2, 0, 0))
    for name in documents.plan().sites:
        site = _site(documents, name)
        privacy = documents.policies[name].spec.privacy
        table.add_row(name, site["data"], filters_of(privacy.floor), site["budget"] or "none")
    return table


def _site(documents: Documents, name: str) -> dict[str, Any]:
    plan, privacy = documents.plan(), documents.policies[name].spec.privacy
    filters = (*plan.privacy.filters, *privacy.floor)
    return {
        "name": name,
        "data": str(documents.data_folder(name)),
        "filters": [each.model_dump(mode="json", by_alias=True) for each in filters],
        "budget": f"ε {privacy.budget.epsilon:g}, δ {privacy.budget.delta:g}" if privacy.budget else None,
    }
