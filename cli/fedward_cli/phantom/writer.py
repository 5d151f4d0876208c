"""One patient on disk, as BraTS has it: a folder of gzipped NIfTI volumes, the same bytes for the same seed."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
from numpy.typing import NDArray

from fedward_cli.phantom.contrasts import Contrast
from fedward_cli.phantom.grid import Grid
from fedward_cli.phantom.tumour import ENHANCING

Format = Literal["brats2023", "brats2021"]
LEVEL = 3
"""Of gzip: MRI noise hardly shrinks, so more effort buys only minutes at full size."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How one year's BraTS names its folders and files, and which label is enhancing tumour."""

    case: str
    file: str
    suffixes: Mapping[Contrast, str]
    enhancing: int


NAMINGS: Mapping[Format, Naming] = {
    "brats2023": Naming(
        "BraTS-GLI-{number:05}-000",
        "{case}-{suffix}.nii.gz",
        {"t1n": "t1n", "t1c": "t1c", "t2w": "t2w", "t2f": "t2f"},
        enhancing=3,
    ),
    "brats2021": Naming(
        "BraTS2021_{number:05}",
        "{case}_{suffix}.nii.gz",
        {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"},
        enhancing=4,
    ),
}


def write_case(
    folder: Path,
    naming: Naming,
    images: Mapping[Contrast, NDArray[np.int16]],
    labels: NDArray[np.uint8],
    grid: Grid,
) -> None:
    """Write the patient's folder whole or not at all; its name is the case's."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for contrast, image in images.items():
        _write_volume(partial / _file(naming, folder.name, naming.suffixes[contrast]), image, grid)
    truth = np.where(labels == ENHANCING, np.uint8(naming.enhancing), labels)
    _write_volume(partial / _file(naming, folder.name, "seg"), truth, grid)
    partial.rename(folder)


def _file(naming: Naming, case: str, suffix: str) -> str:
    return naming.file.format(case=case, suffix=suffix)


def _write_volume(path: Path, values: NDArray[Any], grid: Grid) -> None:
    image = nibabel.nifti1.Nifti1Image(values, grid.affine())  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm", "sec")  # type: ignore[no-untyped-call]
    path.write_bytes(gzip.compress(image.to_bytes(), LEVEL, mtime=0))  # a time would make each run differ
