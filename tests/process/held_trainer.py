"""A toy trainer that does not begin a round before the test lets it: while somebody holds that round's file locked."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import toy_trainer

from fedward_node.trainer.algorithm import Control, LocalResult


class Held(toy_trainer.Arithmetic):
    """Waits for the lock of each round that has a file."""

    def train(self, model: Path, round_number: int, out: Path, control: Control) -> LocalResult:
        held = Path(os.environ["HELD_ROUNDS"], str(round_number))
        if held.exists():
            with held.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH)
        return super().train(model, round_number, out, control)


if __name__ == "__main__":
    toy_trainer.Arithmetic = Held
    sys.exit(toy_trainer.main())
