"""Dice and the 95 % Hausdorff distance of one case, by the conventions of the BraTS challenge for empty regions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

Mask = npt.NDArray[np.bool_]

MISSED_MM = 373.13
"""HD95 where only one of truth and prediction is empty: the diagonal of BraTS' 240 × 240 × 155 mm grid."""


def dice(truth: Mask, prediction: Mask) -> float:
    """Give the Dice coefficient, 0 to 1; 1 where both are empty, 0 where one is (Bakas et al., 2018)."""
    total = int(truth.sum()) + int(prediction.sum())
    return 1.0 if total == 0 else 2.0 * int((truth & prediction).sum()) / total


def hd95(truth: Mask, prediction: Mask, spacing: tuple[float, float, float]) -> float:
    """Give the larger of the two directed 95th percentiles of surface distances, in millimetres.

    0 where both are empty, `MISSED_MM` where one is (Bakas et al., 2018).
    """
    if not truth.any() and not prediction.any():
        return 0.0
    if not truth.any() or not prediction.any():
        return MISSED_MM
    one, other = _surface(truth, spacing), _surface(prediction, spacing)
    # Nearest neighbours among surface points cost far less than a distance transform of the volume.
    there, _ = cKDTree(other).query(one)
    back, _ = cKDTree(one).query(other)
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def _surface(mask: Mask, spacing: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    points: npt.NDArray[np.float64] = np.argwhere(mask & ~binary_erosion(mask)) * np.array(spacing)
    return points
