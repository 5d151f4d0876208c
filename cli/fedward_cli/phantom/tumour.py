"""A glioma, made up: oedema around a core, the core necrotic inside, its rim enhancing where the grade is high."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedward_cli.phantom.anatomy import Volume
from fedward_cli.phantom.grid import BRAIN_MM, Grid
from fedward_cli.phantom.smooth import SmoothField
from fedward_cli.phantom.warp import Brain

Grade = Literal["high", "low"]

NECROSIS, OEDEMA, ENHANCING = 1, 2, 3
"""Labels as BraTS has them since 2023; before, enhancing tumour was 4."""

FIELD_MM = max(BRAIN_MM)
RADIUS = (0.13, 0.24)
"""Of the whole tumour, as a share of the field of view."""
CORE = (0.45, 0.70)
"""The core's radius as a share of the whole tumour's."""
NECROTIC = (0.45, 0.75)
"""The necrosis' radius as a share of the core's, in a high-grade tumour."""
ROUGHNESS = 0.18
WHITE_ENOUGH = 0.6
EDGE_MM = 3.0
"""Over which a border fades: tumours are not cut out with a knife, however fine the grid."""


@dataclass(frozen=True, slots=True)
class Tumour:
    """Shares of a voxel, each [x, y, z] and 0 to 1, that do not overlap; outside the brain they are 0."""

    oedema: Volume
    core: Volume
    enhancing: Volume

    def labels(self) -> NDArray[np.uint8]:
        """Give the truth: 0 background, 1 necrotic or non-enhancing core, 2 oedema, 3 enhancing."""
        shares = {NECROSIS: self.core, OEDEMA: self.oedema, ENHANCING: self.enhancing}
        whole = sum(shares.values(), np.zeros_like(self.core))
        inner = np.stack(list(shares.values())).argmax(axis=0)
        return np.where(whole > 0.5, np.asarray(list(shares), np.uint8)[inner], 0).astype(np.uint8)


def grow(brain: Brain, grid: Grid, grade: Grade, rng: np.random.Generator) -> Tumour:
    """Grow a tumour from a point in white matter: 13 to 24 % of the field in radius, with a rough edge."""
    axes = grid.axes()
    centre = _seed_point(brain.white, axes, rng)
    radius = rng.uniform(*RADIUS) * FIELD_MM
    core_radius = radius * rng.uniform(*CORE)
    # On a coarse grid the rim stays a voxel thick, or a high-grade tumour would have none.
    necrosis_radius = max(0.0, min(core_radius * rng.uniform(*NECROTIC), core_radius - grid.spacing))
    stretch = rng.uniform(0.85, 1.15, 3)
    shifted = centre + rng.normal(0, 0.08, 3) * radius
    coarse, fine = SmoothField.draw(rng, 30.0).on(axes), SmoothField.draw(rng, 14.0).on(axes)
    rough: Volume = (1 + ROUGHNESS * (0.8 * coarse + 0.5 * fine)).astype(np.float32)

    whole = _inside(axes, centre, stretch, radius, rough, grid.spacing) * brain.mask
    core = np.minimum(_inside(axes, shifted, stretch, core_radius, rough, grid.spacing), whole)
    if grade == "low":
        return Tumour(whole - core, core, np.zeros_like(core))
    necrosis = np.minimum(_inside(axes, shifted, stretch, necrosis_radius, rough, grid.spacing), core)
    return Tumour(whole - core, necrosis, core - necrosis)


def _seed_point(white: Volume, axes: tuple[NDArray[np.float32], ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw points of the brain's box until one lies in white matter; the same patient has the same one on any grid."""
    tries = rng.uniform(-0.45, 0.45, (512, 3)) * np.asarray(BRAIN_MM)
    index = [np.clip(np.searchsorted(axis, tries[:, i]), 0, axis.size - 1) for i, axis in enumerate(axes)]
    whiteness = white[tuple(index)]
    first = np.flatnonzero(whiteness > WHITE_ENOUGH)
    chosen = first[0] if first.size else whiteness.argmax()
    point: NDArray[np.float64] = tries[chosen]
    return point


def _inside(
    axes: tuple[NDArray[np.float32], ...],
    centre: NDArray[np.float64],
    stretch: NDArray[np.float64],
    radius: float,
    rough: Volume,
    spacing: float,
) -> Volume:
    """Give the share of each voxel that lies inside a rough ellipsoid, from its depth under the surface."""
    squares = [((axis - c) / s) ** 2 for axis, c, s in zip(axes, centre, stretch, strict=True)]
    distance = np.sqrt(squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :])
    depth = radius * rough - distance
    share: Volume = np.clip(depth / max(spacing, EDGE_MM) + 0.5, 0, 1).astype(np.float32)
    return share
