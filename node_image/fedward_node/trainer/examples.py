"""Slices of held-out cases with truth and prediction, for the report's pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fedward_node.trainer import weights
from fedward_node.trainer.algorithms import prepare_device
from fedward_node.trainer.data.checks import wanted_modalities
from fedward_node.trainer.data.dataset import open_dataset
from fedward_node.trainer.data.labels import regions
from fedward_node.trainer.segmentation.inference import predict
from fedward_node.trainer.segmentation.metrics import dice
from fedward_node.trainer.segmentation.network import build_network
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason, RefusedError

_BACKGROUNDS = ("t1c", "t2f", "t1n", "t2w")  # the first one that the job uses; enhancement shows in t1c


def write_examples(plan: Plan, model: Path, data: Path, out: Path, count: int = 3) -> None:
    """Predict the first `count` held-out cases and write one axial slice of each, the one with most tumour,
    its inner parts counting more.

    The .npz holds, for case i, image_i (float32 X, Y; 0 to 1), truth_i and prediction_i (uint8 X, Y; 0 none, 1 oedema,
    2 core, 3 enhancing), spacing_i (mm along X, Y) and dice_i (mean over regions, whole case); and labels, which say
    "case 1", "case 2", …: a folder's name may be a patient's, so it goes into no picture.

    Raises:
        RefusedError: the dataset or the model cannot be used, or the plan brings a bundle.
    """
    if plan.model.bundle is not None:
        raise RefusedError(Reason.BUNDLE_INVALID, "example slices are made with the built-in task only")
    device, threads = prepare_device()
    cases = open_dataset(data, plan, threads).validation
    network = build_network(plan)
    weights.load(network, model)
    network.to(device)
    modalities = wanted_modalities(plan.data.modalities)
    background = modalities.index(next(name for name in _BACKGROUNDS if name in modalities))
    shown = range(min(count, len(cases)))
    arrays: dict[str, np.ndarray] = {"labels": np.array([f"case {index + 1}" for index in shown])}
    for index in shown:
        case = cases.read(index)
        truth = regions(case.depths)
        prediction = predict(network, case.image, plan.training.patch, device, plan.training.amp)
        level = int(case.depths.sum(axis=(0, 1)).argmax())
        arrays[f"image_{index}"] = _to_unit(case.image[background, :, :, level])
        arrays[f"truth_{index}"] = case.depths[:, :, level]
        # A voxel shows the innermost region that it is predicted to be in, nested or not.
        depths = np.max(prediction * np.array([1, 2, 3], np.uint8)[:, None, None, None], axis=0)
        arrays[f"prediction_{index}"] = depths[:, :, level]
        arrays[f"spacing_{index}"] = np.array(case.spacing[:2])
        arrays[f"dice_{index}"] = np.array(np.mean([dice(t, p) for t, p in zip(truth, prediction, strict=True)]))
    unfinished = out.with_name(out.name + ".tmp")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    unfinished.replace(out)


def _to_unit(values: np.ndarray) -> np.ndarray:
    """Stretch to 0…1 between the 1st and 99th percentile of the brain; outside it stays black."""
    inside = values[values != 0]
    if inside.size == 0:
        return np.zeros(values.shape, np.float32)
    low, high = np.percentile(inside, (1, 99))
    stretched = np.clip((values - low) / max(float(high - low), 1e-6), 0, 1)
    return np.where(values != 0, stretched, 0).astype(np.float32)
