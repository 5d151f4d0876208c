"""One epoch of local training, the same step for step whenever it is run again from the same state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fedward_node.trainer.algorithm import Step
from fedward_node.trainer.data.dataset import CaseStore
from fedward_node.trainer.seeds import generator, seed_of
from fedward_node.trainer.segmentation.augmentation import example
from fedward_node.trainer.segmentation.monai_parts import DiceFocalLoss, DiceLoss
from fedward_protocol.plan import Optimizer, Training
from fedward_protocol.reasons import Reason, RefusedError

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step came to: its number in the epoch, from 1, its loss, and what it took."""

    number: int
    loss: float
    took: Step


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What an epoch came to: optimiser steps, and the sum of their losses."""

    steps: int
    loss_sum: float


def build_loss(name: str) -> Loss:
    """Build the loss on logits and regions (batch, 3, X, Y, Z): Dice plus a voxelwise term, each region by itself."""
    if name == "DiceFocal":
        focal: Loss = DiceFocalLoss(sigmoid=True, squared_pred=True, batch=True)
        return focal
    overlap = DiceLoss(sigmoid=True, squared_pred=True, batch=True)
    # Not MONAI's DiceCELoss: its cross-entropy lets regions compete for a voxel, and ours overlap.
    voxelwise = torch.nn.BCEWithLogitsLoss()
    return lambda logits, truth: overlap(logits, truth) + voxelwise(logits, truth)


def build_optimizer(optimizer: Optimizer, network: torch.nn.Module) -> torch.optim.Optimizer:
    """Build an optimiser without history; local momentum starts anew each round (Li et al., 2019)."""
    classes: dict[str, type[torch.optim.Optimizer]] = {
        "Adam": torch.optim.Adam,
        "AdamW": torch.optim.AdamW,
        "SGD": torch.optim.SGD,
    }
    options: dict[str, Any] = {"lr": optimizer.lr, "weight_decay": optimizer.weight_decay}
    if optimizer.name == "SGD":
        options |= {"momentum": 0.9, "nesterov": True}  # what nnU-Net and others train such networks with
    return classes[optimizer.name](network.parameters(), **options)


def step_count(cases: Sequence[CaseStore], batch_size: int) -> int:
    """Count the steps of an epoch."""
    return math.ceil(sum(len(store) for store in cases) / batch_size)


def batches(cases: Sequence[CaseStore], training: Training, seed: int) -> Generator[tuple[torch.Tensor, torch.Tensor]]:
    """Draw one epoch's examples from all stores together, in a random order that depends on the seed alone.

    Yields:
        Images (batch, channels, *patch) and truth (batch, 3, *patch), float32 on the CPU.
    """
    listed = [(store, index) for store in cases for index in range(len(store))]
    order = generator(seed, "order").permutation(len(listed))
    groups = [order[start : start + training.batch_size] for start in range(0, len(order), training.batch_size)]

    def draw(group: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = []
        for place in group.tolist():
            store, index = listed[place]
            pairs.append(example(store.read(index), training.patch, generator(seed, "example", place)))
        images, truths = zip(*pairs, strict=True)
        return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(truths))

    # One thread draws the next batch while the device works on this one; each example has its own generator, so the
    # thread changes no number.
    with ThreadPoolExecutor(1) as drawer:
        upcoming = drawer.submit(draw, groups[0])
        for following in [*groups[1:], None]:
            current = upcoming.result()
            if following is not None:
                upcoming = drawer.submit(draw, following)
            yield current


class Trainee:
    """A network with its optimiser and loss, trained an epoch at a time."""

    def __init__(
        self,
        network: torch.nn.Module,
        training: Training,
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self.network = network.to(device)
        self.optimizer = build_optimizer(training.optimizer, self.network)
        self._loss = build_loss(training.loss)
        self._training = training
        self.batch_size = training.batch_size
        self.device = device
        # Half precision pays on a GPU only; float16, where bfloat16 is missing, needs its gradients scaled.
        self._amp = training.amp and device.type == "cuda"
        self._type = torch.bfloat16 if self._amp and torch.cuda.is_bf16_supported() else torch.float16
        self.scaler = torch.amp.GradScaler("cuda", enabled=self._amp and self._type == torch.float16)

    def epoch(self, cases: Sequence[CaseStore], seed: int, after_step: Callable[[StepResult], None]) -> EpochResult:
        """Train on each case once.

        Args:
            cases: stores to draw from.
            seed: of this site, round and epoch; the same seed from the same state gives the same weights on a CPU.
            after_step: told of each step; may raise to stop.

        Raises:
            RefusedError: TRAINING_FAILED where the loss is no longer a number.
        """
        self.network.train()
        torch.manual_seed(seed_of(seed, "network"))
        steps, loss_sum = 0, 0.0
        began = self._clock()
        with closing(batches(cases, self._training, seed)) as drawn:
            for images, truths in drawn:
                drawn_at = self._clock()
                loss = self._step(images.to(self.device), truths.to(self.device))
                ended = self._clock()
                steps, loss_sum = steps + 1, loss_sum + loss
                scale = self.scaler.get_scale() if self.scaler.is_enabled() else None
                after_step(StepResult(steps, loss, Step(len(images), ended - began, drawn_at - began, scale)))
                began = ended
        return EpochResult(steps, loss_sum)

    def _step(self, images: torch.Tensor, truths: torch.Tensor) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, self._type, enabled=self._amp):
            logits = self.network(images)
        # The loss sums over a whole crop, which float16 cannot hold.
        loss = self._loss(logits.float(), truths)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RefusedError(
                Reason.TRAINING_FAILED,
                f"the loss became {value}; lower training.optimizer.lr, or set training.amp to false",
            )
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value
