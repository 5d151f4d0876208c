"""Find cases whose files are named <case><suffix>.nii or .nii.gz, at any depth, as all BraTS releases do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from fedward_node.trainer.data.case import CaseFiles, Volume

_ENDINGS = (".nii.gz", ".nii")
_SEGMENTATION = "seg"


def find(
    root: Path, separator: str, modalities: Mapping[str, str], patient: Callable[[str], str] = lambda name: name
) -> list[CaseFiles]:
    """Group a folder's files into cases.

    Args:
        root: where to look; hidden files and folders are passed over.
        separator: what stands between the case's name and the suffix.
        modalities: suffix to our modality name, exact case.
        patient: from a case's name to its patient's.

    Returns:
        The cases that have at least one image, sorted by name.
    """
    groups: dict[tuple[Path, str], dict[str, Path]] = {}
    for path, stem in _images(root):
        name, found, suffix = stem.rpartition(separator)
        if found and name and (suffix in modalities or suffix == _SEGMENTATION):
            groups.setdefault((path.parent, name), {})[suffix] = path
    cases = [
        CaseFiles(
            name=name,
            patient=patient(name),
            images={modalities[suffix]: Volume(path) for suffix, path in files.items() if suffix in modalities},
            segmentation=Volume(files[_SEGMENTATION]) if _SEGMENTATION in files else None,
        )
        for (_, name), files in groups.items()
        if files.keys() & modalities.keys()
    ]
    return sorted(cases, key=lambda case: case.name)


def _images(root: Path) -> Iterator[tuple[Path, str]]:
    # os.walk follows no links to folders, so a link back up cannot turn the search into a circle.
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            for ending in _ENDINGS:
                if name.endswith(ending) and not name.startswith("."):
                    yield Path(folder) / name, name.removesuffix(ending)
                    break
