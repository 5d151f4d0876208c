"""The voxel grid that a cohort is made on: its shape, its spacing, and where its voxels lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BRAIN_MM = (150.0, 186.0, 155.0)
"""The box, left-right, back-front and bottom-top, that holds the template's brain with a small margin."""

SMALLEST, LARGEST = 16, 512
"""Voxels along an axis: below, no tumour has a rim; above, one volume would fill the memory of a laptop."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid centred on the brain; `shape` in voxels, `spacing` the edge of a cubic voxel in millimetres."""

    shape: tuple[int, int, int]
    spacing: float

    def __post_init__(self) -> None:
        if any(not SMALLEST <= size <= LARGEST for size in self.shape):
            raise ValueError(f"a size must be between {SMALLEST} and {LARGEST} voxels along each axis: {self.shape}")
        if not 0.5 <= self.spacing <= 16:
            raise ValueError(f"a spacing must be between 0.5 and 16 mm: {self.spacing}")

    @classmethod
    def around_brain(cls, shape: tuple[int, int, int]) -> Grid:
        """Choose the smallest spacing at which the whole brain fits: 5.8 mm at 32³, 1 mm at 240 x 240 x 155."""
        spacing = max(length / max(size, 1) for length, size in zip(BRAIN_MM, shape, strict=True))
        return cls(shape, round(spacing, 4))

    def axes(self) -> tuple[NDArray[np.float32], ...]:
        """Give the voxel centres along each axis, in mm from the grid's centre."""
        return tuple(((np.arange(n) - (n - 1) / 2) * self.spacing).astype(np.float32) for n in self.shape)

    def affine(self) -> NDArray[np.float64]:
        """Give the 4 x 4 matrix from voxel indices to mm, right-anterior-superior, with its origin at the centre."""
        matrix = np.diag([self.spacing, self.spacing, self.spacing, 1.0])
        matrix[:3, 3] = [-(n - 1) / 2 * self.spacing for n in self.shape]
        return matrix


def parse_size(text: str) -> tuple[int, int, int]:
    """Read "32" or "240x240x155".

    Raises:
        ValueError: it is neither.
    """
    parts = text.lower().split("x")
    if len(parts) not in (1, 3) or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"a size is one number, such as 32, or three, such as 240x240x155; not {text!r}")
    sizes = [int(part) for part in parts]
    return (sizes[0], sizes[0], sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1], sizes[2])
