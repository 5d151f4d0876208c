"""A job's training in a few lines, as both kinds of plan show it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from fedward_operator.api import FederatedJob
from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.api.scalars import show_duration
from fedward_protocol.plan import Bundle, Filter


def summary(job: FederatedJob, bundle: Bundle | None, closes: str, more: Mapping[str, str]) -> Table:
    """Arrange what is trained, and how; `closes` says when a round does, `more` goes beside the training."""
    spec = job.spec
    training, rule = spec.training, spec.aggregation
    options = {name: value for name, value in rule.model_dump().items() if name != "algorithm"}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    trained = [
        f"{training.optimizer.name} {training.optimizer.lr:g}",
        training.loss,
        f"batch {training.batch_size}",
        f"patch {'×'.join(map(str, training.patch))}",
        *(f"{name}: {value}" for name, value in more.items()),
    ]
    for name, text in (
        ("job", f"{job.metadata.namespace}/{job.metadata.name}"),
        ("model", _model(spec, bundle)),
        ("data", f"{spec.data.dataset} ({spec.data.format}): {', '.join(spec.data.modalities)}"),
        ("rounds", f"{spec.rounds.count}, each {training.local_epochs} local epochs at every site"),
        ("closes", closes),
        ("training", ", ".join(trained)),
        ("aggregation", f"{rule.algorithm} {_options(options)}"),
        ("filters", filters_of(spec.privacy.filters)),
        ("transport", f"{spec.transport.encoding}, compression {spec.transport.compression}"),
    ):
        table.add_row(name, text.strip())
    return table


def closing(spec: FederatedJobSpec, everybody: str, quorum: str) -> str:
    """Say when a round closes."""
    return (
        f"when {everybody} have answered, or {show_duration(spec.rounds.deadline)} after opening "
        f"with {quorum} of them; {show_duration(spec.rounds.grace)} of grace"
    )


def filters_of(filters: Sequence[Filter]) -> str:
    """Name filters with their options."""
    return ", ".join(f"{each.name} {_options(each.model_dump(exclude={'name'}))}".strip() for each in filters) or "none"


def camel(name: str) -> str:
    """Write a field's name as documents do."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _model(spec: FederatedJobSpec, bundle: Bundle | None) -> str:
    network, source = spec.model.network, spec.model.bundle
    if source is not None:
        return f"MONAI bundle: {', '.join(bundle.files) if bundle else f'ConfigMap {source.config_map}'}"
    return f"{network.name} {_shown(network.args)}" if network else ""


def _options(values: dict[str, Any]) -> str:
    return _shown({camel(name): value for name, value in values.items()})


def _shown(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={json.dumps(value)}" for name, value in values.items() if value is not None)
