"""A job's first model, made from the plan's seed alone: no data, no network, the same on every machine."""

from __future__ import annotations

from pathlib import Path

import torch

from fedward_node.trainer import weights
from fedward_node.trainer.seeds import seed_of
from fedward_protocol.plan import Plan


def initialise(plan: Plan, out: Path) -> None:
    """Write the first model's weights.

    Raises:
        RefusedError: NETWORK_INVALID or BUNDLE_INVALID, before any site has spent time on the job.
    """
    weights.save(_build(plan), out)


def _build(plan: Plan) -> torch.nn.Module:
    if plan.model.bundle is not None:
        from fedward_node.trainer.bundles.network import build_bundle_network

        _sow(plan)
        return build_bundle_network(plan.model.bundle)
    from fedward_node.trainer.segmentation.network import build_network, check_network

    check_network(plan)
    _sow(plan)
    return build_network(plan)


def _sow(plan: Plan) -> None:
    # Drawn on the CPU always: a GPU's generator gives other numbers.
    torch.manual_seed(seed_of(plan.seed, "initial model"))
