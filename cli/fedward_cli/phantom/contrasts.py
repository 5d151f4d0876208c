"""What an ideal scanner sees: four contrasts as mixtures of tissue, tumour and the harmless spots that resemble it."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from fedward_cli.phantom.anatomy import Volume
from fedward_cli.phantom.grid import Grid
from fedward_cli.phantom.tumour import FIELD_MM, Tumour
from fedward_cli.phantom.warp import Brain

Contrast = Literal["t1n", "t1c", "t2w", "t2f"]
CONTRASTS: tuple[Contrast, ...] = get_args(Contrast)

_VALUES: dict[Contrast, tuple[float, float, float, float, float, float]] = {
    # grey, white, fluid; oedema, core, enhancing
    "t1n": (0.60, 0.85, 0.25, 0.50, 0.35, 0.45),
    "t1c": (0.60, 0.85, 0.25, 0.50, 0.33, 1.00),
    "t2w": (0.60, 0.42, 1.00, 0.85, 0.80, 0.65),
    "t2f": (0.60, 0.50, 0.12, 0.90, 0.62, 0.70),
}
LESION_SPREAD = 0.10
"""Lesions differ between patients by this share of their value."""
DETAIL = {"t1n": 0.5, "t1c": 0.5, "t2w": -0.3, "t2f": -0.3}
"""How much of the template's T1 detail shows, and with which sign."""
SPOTS = (2, 7)
SPOT_RADIUS = (0.02, 0.05)
"""Of white-matter hyperintensities, as a share of the field of view."""


def render(brain: Brain, tumour: Tumour, grid: Grid, rng: np.random.Generator) -> dict[Contrast, Volume]:
    """Mix each contrast from its tissues: [x, y, z], about 0 to 1, 0 outside the brain."""
    spots = _hyperintensities(brain, grid, rng)
    lesions = {contrast: rng.normal(1, LESION_SPREAD, 3) for contrast in CONTRASTS}
    healthy = 1 - tumour.oedema - tumour.core - tumour.enhancing
    images: dict[Contrast, Volume] = {}
    for contrast, (grey, white, fluid, oedema, core, enhancing) in _VALUES.items():
        tissue = grey * brain.grey + white * brain.white + fluid * brain.fluid
        tissue = tissue * (1 + DETAIL[contrast] * (brain.detail - 1))
        if contrast in ("t2w", "t2f"):
            tissue = tissue + spots * (oedema - tissue)
        o, c, e = (value * factor for value, factor in zip((oedema, core, enhancing), lesions[contrast], strict=True))
        image = healthy * tissue + o * tumour.oedema + c * tumour.core + e * tumour.enhancing
        images[contrast] = (image * brain.mask).astype(np.float32)
    return images


def _hyperintensities(brain: Brain, grid: Grid, rng: np.random.Generator) -> Volume:
    """Scatter unlabelled bright spots over the white matter, as age does: else T2 alone would give the tumour."""
    x, y, z = grid.axes()
    spots = np.zeros(grid.shape, np.float32)
    for _ in range(rng.integers(*SPOTS)):
        centre = rng.uniform(-45, 45, 3)
        radius = rng.uniform(*SPOT_RADIUS) * FIELD_MM
        squares = ((x - centre[0]) ** 2)[:, None, None] + ((y - centre[1]) ** 2)[None, :, None]
        distance = np.sqrt(squares + ((z - centre[2]) ** 2)[None, None, :])
        spots = np.maximum(spots, np.clip((radius - distance) / grid.spacing + 0.5, 0, 1))
    return (spots * brain.white).astype(np.float32)
