"""Choose what a plan's model is trained with: the built-in task, or the MONAI bundle's own words."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch

from fedward_node.trainer.algorithm import Algorithm
from fedward_node.trainer.compute import available_threads, lent_gpu
from fedward_protocol.plan import Plan

_log = logging.getLogger(__name__)


def build(plan: Plan, data: Path, state: Path, site: str) -> Algorithm:
    """Make the algorithm of a plan; nothing is read before its open().

    Args:
        plan: the job.
        data: the dataset's folder, only read.
        state: a folder for what is resumed after a crash; made if missing.
        site: whose random numbers to draw.
    """
    device, threads = prepare_device()
    state.mkdir(parents=True, exist_ok=True)
    # Each branch imports only its own: MONAI takes seconds, its bundles more.
    if plan.model.bundle is not None:
        from fedward_node.trainer.bundles.algorithm import BundleAlgorithm

        return BundleAlgorithm(plan, plan.model.bundle, data, state, site)
    from fedward_node.trainer.segmentation.algorithm import Segmentation

    return Segmentation(plan, data, state, site, device, threads)


def prepare_device() -> tuple[torch.device, int]:
    """Choose the GPU where there is one, and set torch up to give the same numbers again.

    Returns:
        The device, and how many threads to use.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lent = lent_gpu(os.environ, os.path.exists)
    if device.type == "cpu" and lent is not None:
        _log.error(
            "a GPU was lent (%s), but PyTorch sees none, so training runs on the CPU, many times slower; check the "
            "policy's gpus.runtimeClassName, and that the node's driver is new enough for CUDA %s",
            lent,
            torch.version.cuda or "(this PyTorch has none: the image is built for CPUs)",
        )
    threads = available_threads()
    torch.set_num_threads(threads)
    # Some 3D operations have no deterministic form on a GPU; there a warning must do.
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    torch.backends.cudnn.benchmark = False
    return device, threads


def gpu_uuid() -> str | None:
    """Give the UUID of the GPU that is computed on, the first one that PyTorch sees; None where it sees none."""
    if not torch.cuda.is_available():
        return None
    found: object = getattr(torch.cuda.get_device_properties(0), "uuid", None)
    return None if found is None else str(found)
