"""Train for a number of epochs, each from a seed of its own, going on where a killed process had stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fedward_node.trainer.algorithm import Control, Superseded
from fedward_node.trainer.data.dataset import CaseStore
from fedward_node.trainer.segmentation.checkpoint import Checkpoint, Progress
from fedward_node.trainer.segmentation.training import EpochResult, StepResult, Trainee, step_count


def train_epochs(
    trainee: Trainee,
    cases: Sequence[CaseStore],
    epochs: int,
    seed: Callable[[int], int],
    control: Control,
    checkpoint: Checkpoint,
) -> EpochResult:
    """Train until `epochs` epochs are done, and keep the state after each but the last.

    Args:
        trainee: what to train, at the round's beginning.
        cases: stores to draw from.
        epochs: how many, counted from the round's beginning.
        seed: of an epoch, 0 the first.
        control: told of every step; its wish to stop is obeyed at the next one.
        checkpoint: where the round's state is kept.

    Returns:
        All steps of the round, those before a restart included.

    Raises:
        Superseded: `control` asked to stop.
    """
    progress = checkpoint.restore(trainee)
    per_epoch = step_count(cases, trainee.batch_size)

    def after_step(step: StepResult) -> None:
        control.stepped(step.took)
        control.progress("train", (progress.epochs + step.number / per_epoch) / epochs, step.loss)
        if control.superseded():
            raise Superseded

    while progress.epochs < epochs:
        done = trainee.epoch(cases, seed(progress.epochs), after_step)
        so_far = EpochResult(progress.sum.steps + done.steps, progress.sum.loss_sum + done.loss_sum)
        progress = Progress(progress.epochs + 1, so_far)
        checkpoint.save(trainee, progress)
    return progress.sum
