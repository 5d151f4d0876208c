"""Hands over what a run was for: the best model, and a MONAI bundle that loads it."""

from __future__ import annotations

import os
import shutil
from math import prod
from pathlib import Path

from fedward_cli.local.folder import Folder
from fedward_cli.local.monai_bundle import bundle_files
from fedward_protocol.digest import digest_file
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.layout import Layout
from fedward_protocol.wire import federation_pb2 as pb


def deliver(folder: Folder, plan: Plan, status: pb.JobStatus, fetched: Path | None = None) -> int:
    """Write model.safetensors (the best model, the last where none was evaluated) and bundle/; count the parameters.

    The model is read where the aggregator keeps it: on one machine there is nothing to be gained by a transfer. From
    another it was fetched before.

    Raises:
        RefusedError: WRONG_DIGEST, the file is not the model that the aggregator announced.
        OSError: it cannot be read or written.
    """
    model = status.best if status.HasField("best") else status.latest
    kept = fetched or folder.aggregator / "models" / f"{model.round:05d}.safetensors"
    partial = folder.model.with_name(folder.model.name + ".tmp")
    shutil.copyfile(kept, partial)
    if digest_file(partial).digest != model.digest:
        raise RefusedError(Reason.WRONG_DIGEST, f"{kept} is not round {model.round}'s model")
    partial.replace(folder.model)
    for name, text in bundle_files(plan).items():
        path = folder.bundle / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _link(folder.model, folder.bundle / "models" / "model.safetensors")
    return sum(prod(spec.shape) for spec in Layout.parse(folder.model).specs)


def _link(model: Path, beside: Path) -> None:
    """Let the bundle hold the model too, so that it can be moved as it is, without taking its space twice."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.unlink(missing_ok=True)
    try:
        os.link(model, beside)
    except OSError:
        shutil.copyfile(model, beside)
