"""A healthy brain: the MNI152 maps of T1, grey and white matter that nilearn's wheel ships, at the detail of a grid."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LICENCE = (
    "Anatomy: ICBM 2009a nonlinear symmetric atlas of the MNI152 brains, copyright (C) 1993-2009 Louis Collins, "
    "McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill University, taken from nilearn (BSD). "
    "The atlas may be used, changed and passed on for any purpose as long as this notice stays with it. "
    "Please cite Fonov et al., NeuroImage 54(1), 2011. Tumours, contrasts and scanners are made up."
)

BRAIN_CENTRE_MM = (0.5, -17.0, 5.0)
"""The centre of the brain's box in MNI coordinates; the origin of patient space."""

Volume = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Maps on one grid, each [x, y, z]: shares of tissue 0 to 1 (their sum is the brain), and T1's own detail.

    Attributes:
        grey, white, fluid: how much of a voxel is grey matter, white matter, cerebrospinal fluid.
        detail: T1 over what its tissues alone would give, 1 where they explain it: nuclei, tracts, vessels.
        spacing: mm along a voxel's edge.
        origin: patient-space mm of voxel (0, 0, 0).
    """

    grey: Volume
    white: Volume
    fluid: Volume
    detail: Volume
    spacing: float
    origin: tuple[float, float, float]


def template_folder() -> Path:
    """Find nilearn's data folder without importing nilearn, which would load scikit-learn.

    Raises:
        FileNotFoundError: nilearn is not installed, or no longer ships the maps.
    """
    found = importlib.util.find_spec("nilearn")
    if found is None or found.origin is None:
        raise FileNotFoundError("the phantom's anatomy comes with nilearn: pip install 'fedward[phantom]'")
    return Path(found.origin).parent / "datasets" / "data"


def _read(name: str) -> tuple[Volume, NDArray[np.float64]]:
    path = template_folder() / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
    image = nibabel.nifti1.load(path)  # type: ignore[no-untyped-call]
    return np.asarray(image.dataobj, np.float32) / np.float32(255), np.asarray(image.affine, np.float64)


def _block_mean(volume: Volume, k: int) -> Volume:
    nx, ny, nz = (n // k for n in volume.shape)
    cut = volume[: nx * k, : ny * k, : nz * k]
    mean: Volume = cut.reshape(nx, k, ny, k, nz, k).mean(axis=(1, 3, 5), dtype=np.float32)
    return mean


@lru_cache(maxsize=2)
def load(spacing: float) -> Anatomy:
    """Load the template with detail finer than `spacing` (mm) smoothed away, on about twice as fine a grid.

    Raises:
        FileNotFoundError: nilearn is not installed, or no longer ships the maps.
    """
    (t1, affine), (grey, _), (white, _) = _read("t1"), _read("gm"), _read("wm")
    brain = (t1 > 0).astype(np.float32)  # nilearn's T1 is skull-stripped
    k = max(1, int(spacing // 2))
    # Sampling every `spacing` mm after a Gaussian of 0.4 spacings keeps edges without aliasing; block means did a part.
    sigma = np.sqrt(max(0.0, (0.4 * spacing) ** 2 - (k**2 - 1) / 12)) / k if spacing > 1 else 0.0
    t1, grey, white, brain = (
        ndimage.gaussian_filter(_block_mean(volume, k), sigma, truncate=3.0) if sigma > 0 else _block_mean(volume, k)
        for volume in (t1, grey * brain, white * brain, brain)
    )
    fluid = np.clip(brain - grey - white, 0, 1)
    expected = 0.65 * grey + 0.87 * white + 0.26 * fluid  # T1's mean in each tissue of this template
    detail = np.where(brain > 0.05, np.clip(t1 / np.maximum(expected, 0.05), 0.5, 1.5), 1).astype(np.float32)
    origin = affine[:3, 3] + (k - 1) / 2 - np.asarray(BRAIN_CENTRE_MM)
    return Anatomy(grey, white, fluid, detail, float(k), (float(origin[0]), float(origin[1]), float(origin[2])))
