"""Turn a case's files into what a network is fed: channels normalised over the brain, cropped to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedward_node.trainer.data.case import CaseFiles
from fedward_node.trainer.data.checks import check_case
from fedward_node.trainer.data.labels import Convention, depth
from fedward_node.trainer.data.volumes import read_image, read_labels
from fedward_protocol.reasons import Reason, RefusedError


@dataclass(frozen=True, slots=True)
class PreparedCase:
    """A case in memory.

    Attributes:
        name: the case folder's name, for this site's eyes only.
        image: float32 (channels, X, Y, Z); zero outside the brain, mean 0 and deviation 1 inside it, each channel.
        depths: uint8 (X, Y, Z), how many of the nested regions each voxel is in.
        spacing: millimetres between voxels along each axis.
    """

    name: str
    image: npt.NDArray[np.float32]
    depths: npt.NDArray[np.uint8]
    spacing: tuple[float, float, float]


def prepare(case: CaseFiles, modalities: Sequence[str], convention: Convention) -> PreparedCase:
    """Read and check a case in full.

    Raises:
        RefusedError: MODALITY_MISSING, CASE_UNREADABLE or AFFINE_MISMATCH; the case is named nowhere in it.
    """
    grid = check_case(case, modalities)
    assert case.segmentation is not None  # check_case has refused a case without one
    depths = depth(read_labels(case.segmentation), convention)
    image = np.stack([read_image(case.images[name]) for name in modalities])
    if not image.any():
        raise RefusedError(Reason.CASE_UNREADABLE, "all images are empty")
    # Tumour outside the brain is rare and still has to count in the metrics, so it widens the box.
    box = _bounding_box(image.any(axis=0) | (depths > 0))
    cropped = np.ascontiguousarray(image[(slice(None), *box)])
    return PreparedCase(case.name, normalise(cropped), np.ascontiguousarray(depths[box]), grid.spacing)


def normalise(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Bring each channel of (channels, X, Y, Z) to mean 0 and deviation 1 over its non-zero voxels; zeros stay zero."""
    normal = np.zeros_like(image)
    for channel, values in enumerate(image):
        inside = values != 0
        if inside.any():
            # Sums of a million float32 voxels lose digits, so the moments are taken in float64.
            mean = values[inside].mean(dtype=np.float64)
            deviation = values[inside].std(dtype=np.float64)
            normal[channel][inside] = (values[inside] - mean) / (deviation if deviation > 0 else 1.0)
    return normal


def _bounding_box(inside: npt.NDArray[np.bool_]) -> tuple[slice, ...]:
    spans = []
    for axis in range(inside.ndim):
        others = tuple(other for other in range(inside.ndim) if other != axis)
        along = np.flatnonzero(inside.any(axis=others))
        spans.append(slice(int(along[0]), int(along[-1]) + 1))
    return tuple(spans)
