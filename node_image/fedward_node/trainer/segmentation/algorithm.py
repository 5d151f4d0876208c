"""The built-in segmentation task as the trainer's loop runs it: open, evaluate, train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from fedward_node.trainer import weights
from fedward_node.trainer.algorithm import Cases, Control, LocalResult, MeanMetric
from fedward_node.trainer.data.dataset import Dataset, open_dataset
from fedward_node.trainer.seeds import seed_of
from fedward_node.trainer.segmentation.checkpoint import Checkpoint
from fedward_node.trainer.segmentation.epochs import train_epochs
from fedward_node.trainer.segmentation.evaluation import evaluate
from fedward_node.trainer.segmentation.network import build_network
from fedward_node.trainer.segmentation.scores import add_up
from fedward_node.trainer.segmentation.training import Trainee
from fedward_protocol.digest import digest_file
from fedward_protocol.plan import Plan

_CHECKPOINT = "round.pt"


class Segmentation:
    """The task on one site's dataset; an `Algorithm`.

    Args:
        plan: the job.
        data: the dataset's folder, only read.
        state: an existing folder for the epoch checkpoint.
        site: sets this site's random numbers apart from the others'.
        device: where to compute.
        threads: how many threads read cases.
    """

    def __init__(self, plan: Plan, data: Path, state: Path, site: str, device: torch.device, threads: int) -> None:
        self._plan = plan
        self._data = data
        self._state = state
        self._site = site
        self._device = device
        self._threads = threads
        self._dataset: Dataset | None = None

    def open(self) -> Cases:
        """Read, check and load the dataset."""
        self._dataset = open_dataset(self._data, self._plan, self._threads)
        return Cases(len(self._dataset.training), len(self._dataset.validation), self._dataset.skipped)

    def evaluate(self, model: Path, control: Control) -> Mapping[str, MeanMetric]:
        """Evaluate a model on the held-out cases."""
        network = self._with_weights(model)
        return add_up(evaluate(network, self._opened().validation, self._plan, self._device, control))

    def train(self, model: Path, round_number: int, out: Path, control: Control) -> LocalResult:
        """Train for the plan's local epochs, from the last checkpoint of this very round if there is one."""
        dataset = self._opened()
        trainee = Trainee(self._with_weights(model), self._plan.training, self._device)
        key = f"{self._plan.digest().hex()} {self._site} {round_number} {digest_file(model).digest.hex()}"
        checkpoint = Checkpoint(self._state / _CHECKPOINT, key)
        done = train_epochs(
            trainee,
            [dataset.training],
            self._plan.training.local_epochs,
            lambda epoch: seed_of(self._plan.seed, self._site, round_number, epoch),
            control,
            checkpoint,
        )
        weights.save(trainee.network, out)
        return LocalResult(len(dataset.training), done.steps, done.loss_sum / done.steps)

    def close(self) -> None:
        """Let go of the cases and of the GPU's memory."""
        self._dataset = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _opened(self) -> Dataset:
        if self._dataset is None:
            raise RuntimeError("open() comes first")
        return self._dataset

    def _with_weights(self, model: Path) -> torch.nn.Module:
        network = build_network(self._plan)
        weights.load(network, model)
        return network.to(self._device)
