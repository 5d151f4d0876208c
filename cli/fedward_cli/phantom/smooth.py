"""Smooth random fields that are the same field on every grid: the shape of organs, edges and coil sensitivities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXTENT_MM = 300.0
"""Knots span a cube of this edge around the brain, so that they reach beyond every grid."""

_UNIT = (151 / 315) ** 1.5
"""The standard deviation of a cubic B-spline field in three dimensions whose knots have standard deviation 1."""


@dataclass(frozen=True, slots=True)
class SmoothField:
    """A cubic B-spline over random knots [k, k, k], zero mean, about unit variance; knots `spacing` mm apart."""

    knots: NDArray[np.float64]
    spacing: float

    @classmethod
    def draw(cls, rng: np.random.Generator, wavelength: float) -> SmoothField:
        """Draw a field that changes over about `wavelength` mm."""
        count = int(np.ceil(EXTENT_MM / wavelength)) + 3
        return cls(rng.standard_normal((count, count, count)) / _UNIT, wavelength)

    def on(self, axes: tuple[NDArray[np.float32], ...]) -> NDArray[np.float32]:
        """Evaluate on the grid of the three `axes` (mm), giving [x, y, z]."""
        field = self.knots
        for axis in axes:  # contracts the first axis and appends the grid's, so three turns restore the order
            field = np.tensordot(field, self._weights(axis), axes=(0, 0))
        return field.astype(np.float32)

    def _weights(self, axis: NDArray[np.float32]) -> NDArray[np.float64]:
        count = self.knots.shape[0]
        middle = (count - 1) / 2
        distance = np.abs(np.arange(count)[:, None] - middle - axis[None, :] / self.spacing)
        near = 2 / 3 - distance**2 + distance**3 / 2
        far = np.clip(2 - distance, 0, None) ** 3 / 6
        weights: NDArray[np.float64] = np.where(distance < 1, near, far)
        return weights
