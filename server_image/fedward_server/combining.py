"""Makes the next global model of a closed round from what lies in the spool; a re-run gives the same bytes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from fedward_protocol.plan import FedAvgM, Plan
from fedward_protocol.tensors.file import TensorFile
from fedward_protocol.tensors.update import UpdateFile
from fedward_server.aggregate import Aggregated, Contribution, aggregate
from fedward_server.events import UpdateArrived
from fedward_server.models import Models


def combine(plan: Plan, round_number: int, updates: list[tuple[UpdateArrived, Path]], models: Models) -> Aggregated:
    """Aggregate a round's updates, given in site order with their files, into the model of that round. Blocking.

    Raises:
        RefusedError: STORAGE_FULL, and it may be tried again; or the rule cannot make a model from these updates.
        OSError: a file cannot be read.
    """
    keeps_velocity = isinstance(plan.aggregation, FedAvgM)
    with ExitStack() as files:
        model = files.enter_context(TensorFile.open(models.path(round_number - 1)))
        momentum = None
        if keeps_velocity and round_number > 1:
            momentum = files.enter_context(TensorFile.open(models.momentum_path(round_number - 1)))
        contributions = [
            Contribution(
                update.site,
                files.enter_context(UpdateFile.open(path, model.layout)),
                weight(update.samples, plan.training.weight_cap),
            )
            for update, path in updates
        ]
        velocity_out = models.momentum_path(round_number) if keeps_velocity else None
        return aggregate(plan.aggregation, contributions, model, momentum, models.path(round_number), velocity_out)


def weight(samples: int, cap: int | None) -> float:
    """Say how much a site counts for: its training cases, but never more than the plan's cap."""
    return float(samples if cap is None else min(samples, cap))
