"""One training example out of a case: a random crop, flipped, its intensities shifted (Myronenko, 2018)."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fedward_node.trainer.data.labels import regions
from fedward_node.trainer.data.preparation import PreparedCase

_TUMOUR_CENTRED = 0.5  # share of crops laid around a tumour voxel, so that small patches still see tumour
_SCALE = 0.1
_SHIFT = 0.1  # of a channel's standard deviation, which normalisation has made 1

Shape = tuple[int, int, int]
_Value = TypeVar("_Value", bound=np.generic)


def example(
    case: PreparedCase, patch: Shape, random: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Draw one example.

    Returns:
        Image (channels, *patch) and truth (3, *patch), float32; a smaller case is padded with zeros on both sides.
    """
    corner = _corner(case.depths, patch, random)
    image = crop(case.image, corner, patch)
    depths = crop(case.depths[None], corner, patch)[0]
    flips = tuple(axis for axis in range(3) if random.random() < 0.5)
    image = np.flip(image, tuple(axis + 1 for axis in flips))
    depths = np.flip(depths, flips)
    channels = (len(image), 1, 1, 1)
    scale = random.uniform(1 - _SCALE, 1 + _SCALE, channels).astype(np.float32)
    shift = random.uniform(-_SHIFT, _SHIFT, channels).astype(np.float32)
    # Outside the brain stays zero, as the network finds it when it predicts.
    moved = np.where(image != 0, image * scale + shift, np.float32(0))
    return np.ascontiguousarray(moved), regions(depths).astype(np.float32)


def crop(volume: npt.NDArray[_Value], corner: Shape, patch: Shape) -> npt.NDArray[_Value]:
    """Cut (channels, *patch) out of (channels, X, Y, Z); the corner may lie outside, where zeros stand."""
    cut = np.zeros((volume.shape[0], *patch), volume.dtype)
    source, target = [slice(None)], [slice(None)]
    for start, wanted, length in zip(corner, patch, volume.shape[1:], strict=True):
        first, last = max(start, 0), min(start + wanted, length)
        source.append(slice(first, last))
        target.append(slice(first - start, last - start))
    cut[tuple(target)] = volume[tuple(source)]
    return cut


def _corner(depths: npt.NDArray[np.uint8], patch: Shape, random: np.random.Generator) -> Shape:
    spare = np.array(depths.shape) - np.array(patch)
    corner = random.integers(0, np.maximum(spare, 0) + 1)
    if random.random() < _TUMOUR_CENTRED and (spare > 0).any():
        tumour = np.flatnonzero(depths)
        if len(tumour):
            voxel = np.array(np.unravel_index(random.choice(tumour), depths.shape))
            corner = np.clip(voxel - np.array(patch) // 2, 0, np.maximum(spare, 0))
    # Along an axis on which the case is smaller than the patch it is centred.
    x, y, z = np.where(spare < 0, spare // 2, corner)
    return int(x), int(y), int(z)
