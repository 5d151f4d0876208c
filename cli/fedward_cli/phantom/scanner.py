"""What a real scanner makes of it: each site's own bias field, contrast curve, sharpness, noise and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fedward_cli.phantom.anatomy import Volume
from fedward_cli.phantom.contrasts import CONTRASTS, Contrast
from fedward_cli.phantom.grid import Grid
from fedward_cli.phantom.smooth import SmoothField

GAMMA_SPREAD = 0.35
"""Standard deviation of the logarithm of a site's contrast curve."""
BLURS = (0.0, 0.5, 0.9)
"""Standard deviations in voxels."""
NOISES = (0.04, 0.16)
"""Standard deviation of the noise, where the brightest healthy tissue is about 1."""
SITE_BIAS, PATIENT_BIAS = 0.15, 0.10
BIAS_WAVELENGTH_MM = 120.0
UNITS = (400.0, 1600.0)
"""What 1 becomes in the file: MRI has no units, and no two scanners agree."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """One site's scanner.

    Attributes:
        gamma: the exponent of each contrast's intensity curve.
        blur: voxels, standard deviation.
        noise: standard deviation in both channels of the Rician noise.
        unit: what intensity 1 becomes in the file.
        bias: logarithm of the coil's sensitivity, in units of SITE_BIAS.
    """

    gamma: Mapping[Contrast, float]
    blur: float
    noise: float
    unit: float
    bias: SmoothField

    @classmethod
    def draw(cls, rng: np.random.Generator, blur: float | None, noise: float | None) -> Scanner:
        """Draw a scanner; a cohort may fix `blur` and `noise`, by which sites are hard or easy."""
        gamma = {contrast: float(np.exp(rng.normal(0, GAMMA_SPREAD))) for contrast in CONTRASTS}
        drawn_blur, drawn_noise = float(rng.choice(BLURS)), float(rng.uniform(*NOISES))
        return cls(
            gamma,
            drawn_blur if blur is None else blur,
            drawn_noise if noise is None else noise,
            float(rng.uniform(*UNITS)),
            SmoothField.draw(rng, BIAS_WAVELENGTH_MM),
        )

    def acquire(
        self,
        images: Mapping[Contrast, Volume],
        mask: NDArray[np.bool_],
        grid: Grid,
        rng: np.random.Generator,
    ) -> dict[Contrast, NDArray[np.int16]]:
        """Turn ideal contrasts into what the site stores: int16 [x, y, z], skull-stripped (0 outside the brain)."""
        axes = grid.axes()
        coil = SITE_BIAS * self.bias.on(axes)
        stored = {}
        for contrast, image in images.items():
            sensitivity = np.exp(coil + PATIENT_BIAS * SmoothField.draw(rng, BIAS_WAVELENGTH_MM).on(axes))
            signal = np.clip(image, 0, None) ** self.gamma[contrast] * sensitivity
            if self.blur > 0:
                signal = ndimage.gaussian_filter(signal, self.blur)
            noise = self.noise * rng.standard_normal((2, *signal.shape), dtype=np.float32)
            magnitude = np.hypot(signal + noise[0], noise[1]) * self.unit
            # 1, not 0, is the darkest brain: readers take 0 for background.
            stored[contrast] = np.where(mask, np.clip(np.rint(magnitude), 1, 32767), 0).astype(np.int16)
        return stored
