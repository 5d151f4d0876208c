"""What a federation is compared with: the same task trained on one site's cases alone, or on all sites' together."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from fedward_node.trainer import weights
from fedward_node.trainer.algorithm import MeanMetric, Step
from fedward_node.trainer.algorithms import prepare_device
from fedward_node.trainer.data.dataset import Dataset, open_dataset
from fedward_node.trainer.initialise import initialise
from fedward_node.trainer.seeds import seed_of
from fedward_node.trainer.segmentation.evaluation import evaluate
from fedward_node.trainer.segmentation.network import build_network
from fedward_node.trainer.segmentation.scores import add_up
from fedward_node.trainer.segmentation.training import Trainee
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason, RefusedError

_logger = logging.getLogger(__name__)


class Undisturbed:
    """A control that never asks to stop: nobody waits for a baseline."""

    def progress(self, stage: str, fraction: float, loss: float = math.nan) -> None:
        """Pass over it; epochs are logged instead."""

    def stepped(self, step: Step) -> None:
        """Pass over it."""

    def superseded(self) -> bool:
        """Say no."""
        return False


def baseline(plan: Plan, data: Mapping[str, Path], evaluate_on: Mapping[str, Path], epochs: int, out: Path) -> None:
    """Train from the federation's own first model for `epochs` epochs, and write the result as JSON.

    The result holds `sites` (name → metric → sum and count, on each one's held-out cases), `seconds` (training alone)
    and `curve`: after every plan.training.localEpochs epochs, so that a point stands beside a round of the federation,
    epoch, seconds so far, mean training loss and dice over all sites' cases.

    Args:
        plan: the job; it must be one of the built-in task.
        data: site → folder; the training cases of all are pooled.
        evaluate_on: further sites, only to evaluate on.
        epochs: passes over the pooled cases; the optimiser's momentum is kept throughout.
        out: the file to write.

    Raises:
        RefusedError: a dataset or the network cannot be used, or the plan brings a bundle.
    """
    if plan.model.bundle is not None:
        raise RefusedError(Reason.BUNDLE_INVALID, "baselines are trained with the built-in task only")
    device, threads = prepare_device()
    datasets = {name: open_dataset(folder, plan, threads) for name, folder in data.items()}
    judges = datasets | {name: open_dataset(folder, plan, threads) for name, folder in evaluate_on.items()}
    network = build_network(plan)
    with TemporaryDirectory() as folder:
        first = Path(folder) / "initial.safetensors"
        initialise(plan, first)
        weights.load(network, first)
    trainee = Trainee(network, plan.training, device)
    pooled = [dataset.training for dataset in datasets.values()]

    def judge() -> dict[str, dict[str, MeanMetric]]:
        return {name: _evaluated(trainee, dataset, plan) for name, dataset in judges.items()}

    sites: dict[str, dict[str, MeanMetric]] = {}
    curve, seconds = [], 0.0
    for epoch in range(epochs):
        started = time.monotonic()
        done = trainee.epoch(pooled, seed_of(plan.seed, "baseline", *sorted(data), epoch), lambda _: None)
        seconds += time.monotonic() - started
        if (epoch + 1) % plan.training.local_epochs == 0 or epoch + 1 == epochs:
            sites = judge()
            point = {
                "epoch": epoch + 1,
                "seconds": seconds,
                "trainLoss": done.loss_sum / done.steps,
                "dice": _mean("dice", sites),
            }
            curve.append(point)
            _logger.info("baseline of %s after %d of %d epochs", "+".join(sorted(data)), epoch + 1, epochs)
    document = {
        "sites": {name: {metric: asdict(mean) for metric, mean in means.items()} for name, means in sites.items()},
        "seconds": seconds,
        "curve": curve,
    }
    unfinished = out.with_suffix(".tmp")
    unfinished.write_text(json.dumps(document, indent=1))
    unfinished.replace(out)


def _evaluated(trainee: Trainee, dataset: Dataset, plan: Plan) -> dict[str, MeanMetric]:
    return add_up(evaluate(trainee.network, dataset.validation, plan, trainee.device, Undisturbed()))


def _mean(metric: str, sites: Mapping[str, Mapping[str, MeanMetric]]) -> float | None:
    found = [means[metric] for means in sites.values() if metric in means]
    count = sum(mean.count for mean in found)
    return sum(mean.sum for mean in found) / count if count else None
