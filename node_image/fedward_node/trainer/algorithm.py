"""What a local training must offer so that the trainer's loop can run it; nothing here knows torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Cases:
    """What a site's dataset holds: cases to train on, to validate on, and those left out as unreadable."""

    training: int
    validation: int
    skipped: int


@dataclass(frozen=True, slots=True)
class MeanMetric:
    """A mean that still adds up across sites: the sum over cases, and how many cases were counted."""

    sum: float
    count: int


@dataclass(frozen=True, slots=True)
class LocalResult:
    """What came out of one round's local training, beside the trained weights on disk.

    Attributes:
        samples: training cases behind the weights.
        steps: optimiser steps taken.
        train_loss: mean loss over these steps.
    """

    samples: int
    steps: int
    train_loss: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step of training.

    Attributes:
        cases: training cases worked through; not whole where a step takes crops of several.
        seconds: that it took, since the step before ended.
        waited_s: of these, until its data were there.
        amp_scale: factor on the loss in mixed precision; None where nothing is scaled.
    """

    cases: float
    seconds: float
    waited_s: float
    amp_scale: float | None = None


class Superseded(Exception):  # noqa: N818 - it is an answer to an instruction, not an error
    """The hub has asked for something else; what was running stopped early and left no result."""


class Control(Protocol):
    """How a running algorithm speaks with the loop, from the worker thread."""

    def progress(self, stage: str, fraction: float, loss: float = math.nan) -> None:
        """Say how far the stage ("evaluate", "train") has come, 0 to 1, and the last step's loss."""

    def stepped(self, step: Step) -> None:
        """Say what a step of training took; one that is not told of is only not shown."""

    def superseded(self) -> bool:
        """Tell whether the work is no longer wanted; then stop at the next step by raising `Superseded`."""


class Algorithm(Protocol):
    """One site's local work. Its methods run in one worker thread, never two at once."""

    def open(self) -> Cases:
        """Read the data list.

        Raises:
            RefusedError: the site cannot take part (DATASET_EMPTY, LABEL_CONVENTION, …).
        """

    def evaluate(self, model: Path, control: Control) -> Mapping[str, MeanMetric]:
        """Evaluate a model (safetensors, fp32) on the validation cases: metric name ("dice", "hd95_wt", …) to mean.

        Raises:
            Superseded: `control` asked to stop.
        """

    def train(self, model: Path, round_number: int, out: Path, control: Control) -> LocalResult:
        """Train from `model` and leave the trained weights, of the same layout, in `out`.

        The same model and round give the same weights, so that a trainer killed in a round can start it again.

        Raises:
            Superseded: `control` asked to stop.
        """

    def close(self) -> None:
        """Let go of the data and the device."""
