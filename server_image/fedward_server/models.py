"""The global models on disk: the latest, the one before and the best, each complete or not there at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from fedward_protocol.digest import digest_file
from fedward_protocol.durable import sync_directory
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.layout import Layout
from fedward_server.events import Model


class Models:
    """Files under `root`, named by round; the rule's velocity, where it keeps one, lies beside the model."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, round_number: int) -> Path:
        """Give the place of the model into which `round_number` rounds are aggregated."""
        return self._root / f"{round_number:05d}.safetensors"

    def momentum_path(self, round_number: int) -> Path:
        """Give the place of the server's velocity after that round."""
        return self._root / f"{round_number:05d}.momentum.safetensors"

    def adopt(self, initial: Path) -> Model:
        """Copy the initial model in as that of round 0: what is replaced outside later changes nothing here.

        Raises:
            RefusedError: MALFORMED, it is not a model of fp32 tensors; STORAGE_FULL.
            OSError: it cannot be read.
        """
        layout = Layout.parse(initial)
        odd = [spec.name for spec in layout.specs if spec.dtype != "F32"]
        if odd or not layout.specs:
            raise RefusedError(Reason.MALFORMED, f"the initial model holds tensors that are not F32: {odd[:3]}")
        path = self.path(0)
        unfinished = path.with_name(f"{path.name}.tmp")
        shutil.copyfile(initial, unfinished)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        digest = digest_file(unfinished)
        unfinished.replace(path)
        sync_directory(self._root)
        return Model(round=0, digest=digest.digest, nbytes=digest.nbytes)

    def sweep(self, kept: Collection[Model], latest: int) -> None:
        """Delete all models but those of `kept`, and all velocities but those after round `latest` and before."""
        names = {self.path(model.round).name for model in kept}
        names |= {self.momentum_path(round_number).name for round_number in (latest, latest - 1) if round_number > 0}
        for path in self._root.iterdir():
            if path.name not in names:
                path.unlink(missing_ok=True)
