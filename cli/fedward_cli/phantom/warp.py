"""One patient's own head: the template turned, scaled and bent a little, and brought onto the patient's grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fedward_cli.phantom.anatomy import Anatomy, Volume
from fedward_cli.phantom.grid import Grid
from fedward_cli.phantom.smooth import SmoothField

TURN_RAD = 0.12
SCALE = 0.05
SHIFT_MM = 4.0
"""About 2 % of the field of view."""
SHIFT_WAVELENGTH_MM = 60.0


@dataclass(frozen=True, slots=True)
class Warp:
    """A pull-back: where in the template a patient's point comes from."""

    linear: NDArray[np.float64]
    shifts: tuple[SmoothField, SmoothField, SmoothField]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Warp:
        """Draw a head: turned by up to 0.12 rad about each axis, scaled by up to 5 %, bent by about 4 mm."""
        turns = rng.uniform(-TURN_RAD, TURN_RAD, 3)
        scales = 1 + rng.uniform(-SCALE, SCALE, 3)
        linear = _rotation(turns) @ np.diag(1 / scales)
        x, y, z = (SmoothField.draw(rng, SHIFT_WAVELENGTH_MM) for _ in range(3))
        return cls(linear, (x, y, z))

    def bring(self, anatomy: Anatomy, grid: Grid) -> Brain:
        """Sample the template's maps on the patient's grid, linearly."""
        axes = grid.axes()
        source = []
        for row, origin, field in zip(self.linear, anatomy.origin, self.shifts, strict=True):
            moved = SHIFT_MM * field.on(axes)
            for i, axis in enumerate(axes):
                moved += np.float32(row[i]) * axis.reshape([-1 if j == i else 1 for j in range(3)])
            source.append((moved - np.float32(origin)) / np.float32(anatomy.spacing))
        maps = (anatomy.grey, anatomy.white, anatomy.fluid)
        grey, white, fluid = (
            ndimage.map_coordinates(volume, source, order=1, mode="constant", cval=0.0) for volume in maps
        )
        detail = ndimage.map_coordinates(anatomy.detail, source, order=1, mode="nearest")
        return Brain(grey, white, fluid, detail, grey + white + fluid > 0.5)


@dataclass(frozen=True, slots=True)
class Brain:
    """One patient's healthy brain on the patient's grid: shares of tissue, T1's detail, and the brain's mask."""

    grey: Volume
    white: Volume
    fluid: Volume
    detail: Volume
    mask: NDArray[np.bool_]


def _rotation(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.eye(3)
    for axis, turn in enumerate(turns):
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(turn)
        step[i, j], step[j, i] = -np.sin(turn), np.sin(turn)
        matrix = matrix @ step
    return matrix
