"""Medical Segmentation Decathlon Task01: dataset.json lists 4-channel images and their label maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fedward_node.trainer.data.case import MODALITY_SPELLINGS, CaseFiles, Volume
from fedward_node.trainer.data.labels import DECATHLON
from fedward_node.trainer.data.layouts.layout import Layout
from fedward_protocol.reasons import Reason, RefusedError

_LIST = "dataset.json"


def _find(root: Path) -> list[CaseFiles]:
    listed = next((folder / _LIST for folder in (root, *_folders(root)) if (folder / _LIST).is_file()), None)
    if listed is None:
        return []
    try:
        document = json.loads(listed.read_text())
        if "modality" not in document or "training" not in document:
            return []  # a list of some other tool's that happens to have this name
        channels = {
            MODALITY_SPELLINGS[str(name).lower()]: int(channel) for channel, name in document["modality"].items()
        }
        cases = [_case(listed.parent, entry, channels) for entry in document["training"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RefusedError(
            Reason.DATASET_FORMAT_UNKNOWN,
            f"{_LIST} is not one of Task01: 'modality' must number FLAIR, T1w, t1gd and T2w, and 'training' must list "
            f"'image' and 'label' of each case ({type(error).__name__})",
        ) from error
    return sorted(cases, key=lambda case: case.name)


def _folders(root: Path) -> list[Path]:
    return sorted(folder for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []


def _case(folder: Path, entry: dict[str, Any], channels: dict[str, int]) -> CaseFiles:
    image = _inside(folder, entry["image"])
    name = image.name.removesuffix(".gz").removesuffix(".nii")
    return CaseFiles(
        name=name,
        patient=name,
        images={modality: Volume(image, channel) for modality, channel in channels.items()},
        segmentation=Volume(_inside(folder, entry["label"])) if "label" in entry else None,
    )


def _inside(folder: Path, relative: str) -> Path:
    """Resolve a listed path, which must not lead out of the dataset."""
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(relative)
    return path


DECATHLON_TASK01 = Layout("decathlon", DECATHLON, _find)
