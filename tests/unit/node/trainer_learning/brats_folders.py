"""Tiny BraTS and Decathlon folders: blobs of tumour that a small network can learn in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from fedward_protocol.plan import Plan

SUFFIXES = {
    "brats2018": ("_", {"t1c": "t1ce", "t1n": "t1", "t2w": "t2", "t2f": "flair"}, 4),
    "brats2021": ("_", {"t1c": "t1ce", "t1n": "t1", "t2w": "t2", "t2f": "flair"}, 4),
    "brats2023": ("-", {"t1c": "t1c", "t1n": "t1n", "t2w": "t2w", "t2f": "t2f"}, 3),
}
NAMES = {"brats2018": "Brats18_TCIA_{}_1", "brats2021": "BraTS2021_{:05}", "brats2023": "BraTS-GLI-{:05}-000"}

NETWORK = {"channels": [4, 8], "strides": [2], "num_res_units": 1, "dropout": 0.1}


def a_plan(**changes: Any) -> Plan:
    """A plan for one site and a network of a few hundred weights; `changes` replace whole sections."""
    document: dict[str, Any] = {
        "federation": "fedward.test",
        "job": {"name": "tumour", "namespace": "research", "uid": "0123456789"},
        "sites": ["north"],
        "model": {
            "network": {
                "name": "UNet",
                "args": {"channels": [4, 8], "strides": [2], "num_res_units": 1, "dropout": 0.1},
            }
        },
        "data": {"dataset": "brats"},
        "training": {"localEpochs": 3, "optimizer": {"lr": 0.02}, "patch": [16, 16, 16]},
        "rounds": {"count": 2, "quorum": 1, "deadlineS": 60, "graceS": 0},
    }
    return Plan.model_validate(document | changes)


def draw(index: int, size: int = 16) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Images by modality, and depths: 1 oedema, 2 core, 3 enhancing."""
    random = np.random.default_rng(index)
    centre = random.integers(6, size - 6, 3)[:, None, None, None] if size > 12 else size // 2
    radius = np.sqrt(((np.indices((size,) * 3) - centre) ** 2).sum(axis=0))
    depths = np.select([radius < 2, radius < 3, radius < 5], [3, 2, 1], 0).astype(np.uint8)
    images = {
        name: (100 + bright * (depths > 0) + 80 * (depths == 3) * (name == "t1c") + random.normal(0, 5, radius.shape))
        for name, bright in (("t1c", -20), ("t1n", -30), ("t2w", 40), ("t2f", 60))
    }
    return {name: image.astype(np.float32) for name, image in images.items()}, depths


def save(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)


def brats_case(root: Path, index: int, layout: str = "brats2023", name: str = "", values: Any = None) -> Path:
    """Write one case; `values` replace the labels of (oedema, core, enhancing)."""
    separator, suffixes, enhancing = SUFFIXES[layout]
    name = name or NAMES[layout].format(index)
    images, depths = draw(index)
    oedema, core, bright = values or (2, 1, enhancing)
    for modality, image in images.items():
        save(root / name / f"{name}{separator}{suffixes[modality]}.nii.gz", image)
    labels = np.choose(depths, [0, oedema, core, bright]).astype(np.uint8)
    save(root / name / f"{name}{separator}seg.nii.gz", labels)
    return root / name


def brats(root: Path, count: int = 5, layout: str = "brats2023") -> Path:
    for index in range(count):
        brats_case(root, index, layout)
    return root


def decathlon(root: Path, count: int = 5) -> Path:
    entries = []
    for index in range(count):
        images, depths = draw(index)
        stacked = np.stack([images[name] for name in ("t2f", "t1n", "t1c", "t2w")], axis=-1)
        save(root / f"imagesTr/BRATS_{index:03}.nii.gz", stacked)
        save(root / f"labelsTr/BRATS_{index:03}.nii.gz", depths)  # its own labels are these depths
        entries.append({"image": f"./imagesTr/BRATS_{index:03}.nii.gz", "label": f"./labelsTr/BRATS_{index:03}.nii.gz"})
    document = {"modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}, "training": entries}
    (root / "dataset.json").write_text(json.dumps(document))
    return root
