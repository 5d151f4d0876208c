"""What `fedward plan` prints: the plan as resolved, and the processes, data and filters that a run of it would have."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from fedward_cli.documents import Documents
from fedward_cli.local.commands import threads_of
from fedward_operator.api.scalars import show_duration
from fedward_protocol.plan import Filter


def describe(documents: Documents) -> str:
    """Give the plan and what would start as indented JSON."""
    plan = documents.plan()
    document = {
        "plan": plan.model_dump(mode="json", by_alias=True),
        "processes": processes(documents),
        "sites": [_site(documents, name) for name in plan.sites],
        "notices": notices(documents),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def show(documents: Documents, console: Console | None = None) -> None:
    """Print the plan and what would start as tables."""
    console = console or Console()
    console.print(_summary(documents))
    console.print()
    console.print(_sites(documents))
    console.print(f"\nwould start: {', '.join(processes(documents))}", soft_wrap=True)
    for notice in notices(documents):
        console.print(f"note: {notice}", soft_wrap=True)


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
    found += [f"only a cluster acts on spec.{_camel(name)}" for name in for_clusters if name in spec.model_fields_set]
    if spec.suspend:
        found.append("spec.suspend is true: a cluster would not start it, a local run does")
    return found


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _summary(documents: Documents) -> Table:
    plan, spec = documents.plan(), documents.job.spec
    training, rule = plan.training, plan.aggregation
    cores = threads_of(len(plan.sites), os.cpu_count() or 1)
    options = {name: value for name, value in rule.model_dump().items() if name != "algorithm"}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, text in (
        ("job", f"{plan.job.namespace}/{plan.job.name}"),
        ("model", _model(documents)),
        ("data", f"{plan.data.dataset} ({plan.data.format}): {', '.join(plan.data.modalities)}"),
        ("rounds", f"{plan.rounds.count}, each {training.local_epochs} local epochs at every site"),
        (
            "closes",
            f"when all {len(plan.sites)} sites have answered, or {show_duration(spec.rounds.deadline)} after opening "
            f"with {plan.rounds.quorum} of them; {show_duration(spec.rounds.grace)} of grace",
        ),
        (
            "training",
            f"{training.optimizer.name} {training.optimizer.lr:g}, {training.loss}, batch {training.batch_size}, "
            f"patch {'×'.join(map(str, training.patch))}, cores each: {cores}",
        ),
        ("aggregation", f"{rule.algorithm} {_options(options)}"),
        ("filters", _filters(plan.privacy.filters)),
        ("transport", f"{plan.transport.encoding}, compression {plan.transport.compression}"),
    ):
        table.add_row(name, text.strip())
    return table


def _model(documents: Documents) -> str:
    network, bundle = documents.plan().model.network, documents.bundle
    if bundle is not None:
        return f"MONAI bundle: {', '.join(bundle.files)}"
    return f"{network.name} {_shown(network.args)}" if network else ""


def _sites(documents: Documents) -> Table:
    table = Table("site", "dataset", "floor", "budget", box=None, padding=(0, 2, 0, 0))
    for name in documents.plan().sites:
        site = _site(documents, name)
        privacy = documents.policies[name].spec.privacy
        table.add_row(name, site["data"], _filters(privacy.floor), site["budget"] or "none")
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


def _filters(filters: Sequence[Filter]) -> str:
    return ", ".join(f"{each.name} {_options(each.model_dump(exclude={'name'}))}".strip() for each in filters) or "none"


def _options(values: dict[str, Any]) -> str:
    return _shown({_camel(name): value for name, value in values.items()})


def _shown(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={json.dumps(value)}" for name, value in values.items() if value is not None)
