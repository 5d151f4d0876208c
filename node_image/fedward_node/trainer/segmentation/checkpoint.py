"""What a killed trainer goes on from: the state after the last whole epoch of the round it was in."""

from __future__ import annotations

import logging
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fedward_node.trainer.segmentation.training import EpochResult, Trainee
from fedward_protocol.durable import sync_directory

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a round has come: whole epochs, and what they came to together."""

    epochs: int = 0
    sum: EpochResult = field(default_factory=lambda: EpochResult(0, 0.0))


class Checkpoint:
    """One file that holds the state of one round; another round's is as good as none.

    Args:
        path: where it lies.
        key: what the state belongs to: plan, site, round and the digest of the model that the round started from.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key

    def save(self, trainee: Trainee, progress: Progress) -> None:
        """Write the state, durably and all or nothing."""
        unfinished = self._path.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            torch.save(
                {
                    "key": self._key,
                    "epochs": progress.epochs,
                    "steps": progress.sum.steps,
                    "loss_sum": progress.sum.loss_sum,
                    "network": trainee.network.state_dict(),
                    "optimizer": trainee.optimizer.state_dict(),
                    "scaler": trainee.scaler.state_dict(),
                },
                file,
            )
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)
        sync_directory(self._path.parent)

    def restore(self, trainee: Trainee) -> Progress:
        """Put the state back, if the file holds this round's, and say how far it had come."""
        if not self._path.is_file():
            return Progress()
        try:
            # weights_only: nothing in the file is run, whatever somebody has put there.
            stored: dict[str, Any] = torch.load(self._path, map_location="cpu", weights_only=True)
        except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
            _logger.warning("the checkpoint cannot be read, the round starts again: %s", error)
            return Progress()
        if stored["key"] != self._key:
            return Progress()
        trainee.network.load_state_dict(stored["network"])
        trainee.optimizer.load_state_dict(stored["optimizer"])
        trainee.scaler.load_state_dict(stored["scaler"])
        return Progress(stored["epochs"], EpochResult(stored["steps"], stored["loss_sum"]))
