"""Read a case's NIfTI files: the header's grid cheaply, the voxels in full."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError

from fedward_node.trainer.data.case import Volume
from fedward_protocol.reasons import Reason, RefusedError

# What nibabel lets through where a file is cut short, is no NIfTI at all, or cannot be opened.
_UNREADABLE = (OSError, EOFError, ValueError, zlib.error, ImageFileError)


@dataclass(frozen=True, slots=True)
class Grid:
    """Where a volume's voxels lie in space.

    Attributes:
        shape: voxels along each axis.
        affine: 4 × 4, voxel indices to millimetres.
        channels: 1 of a 3D image, the length of the fourth axis of a 4D one.
    """

    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64]
    channels: int

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between neighbouring voxels along each axis."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    def matches(self, other: Grid) -> bool:
        """Tell whether both lie on one grid: as many voxels, and no corner off by more than half a voxel."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1)
        homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
        apart = np.linalg.norm(((self.affine - other.affine) @ homogeneous)[:3], axis=0)
        return bool(np.max(apart) <= 0.5 * min(self.spacing))


def read_grid(volume: Volume) -> Grid:
    """Read the header only, turned to the closest right-anterior-superior axes.

    Raises:
        RefusedError: CASE_UNREADABLE.
    """
    image = _load(volume)
    if len(image.shape) not in (3, 4) or 0 in image.shape:
        raise RefusedError(Reason.CASE_UNREADABLE, f"a volume has shape {tuple(image.shape)} instead of three axes")
    orientation = nibabel.io_orientation(image.affine)  # type: ignore[no-untyped-call]
    if np.isnan(orientation).any():
        raise RefusedError(Reason.CASE_UNREADABLE, "a volume's affine is singular")
    turned = [0, 0, 0]
    for source, target in enumerate(orientation[:, 0].astype(int)):
        turned[target] = int(image.shape[source])
    affine = (
        image.affine
        @ nibabel.orientations.inv_ornt_aff(  # type: ignore[no-untyped-call]
            orientation, image.shape[:3]
        )
    )
    return Grid((turned[0], turned[1], turned[2]), affine, image.shape[3] if len(image.shape) == 4 else 1)


def read_image(volume: Volume) -> npt.NDArray[np.float32]:
    """Read intensities (X, Y, Z), turned as `read_grid` says.

    Raises:
        RefusedError: CASE_UNREADABLE where the file is cut short or holds NaN or infinity.
    """
    values = _read(volume).astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise RefusedError(Reason.CASE_UNREADABLE, "a volume holds NaN or infinity")
    return values


def read_labels(volume: Volume) -> npt.NDArray[np.uint8]:
    """Read a label map (X, Y, Z), turned as `read_grid` says.

    Raises:
        RefusedError: CASE_UNREADABLE where the file is cut short or holds anything but whole numbers from 0 to 255.
    """
    values = _read(volume)
    labels = values.astype(np.uint8)
    if not np.array_equal(labels, values):
        raise RefusedError(Reason.CASE_UNREADABLE, "the label map holds other values than whole numbers from 0 to 255")
    return labels


def _read(volume: Volume) -> npt.NDArray[np.generic]:
    image = _load(volume)
    try:
        values = np.asanyarray(image.dataobj)
    except _UNREADABLE as error:
        raise RefusedError(
            Reason.CASE_UNREADABLE, f"a file is cut short or damaged ({type(error).__name__})"
        ) from error
    if volume.channel is not None:
        if values.ndim != 4 or volume.channel >= values.shape[3]:
            raise RefusedError(Reason.MODALITY_MISSING, f"the image has no channel {volume.channel}")
        values = values[..., volume.channel]
    if values.ndim != 3:
        raise RefusedError(Reason.CASE_UNREADABLE, f"a volume has shape {values.shape} instead of three axes")
    orientation = nibabel.io_orientation(image.affine)  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(nibabel.apply_orientation(values, orientation))  # type: ignore[no-untyped-call]


def _load(volume: Volume) -> Any:
    try:
        return nibabel.load(volume.path)
    except _UNREADABLE as error:
        raise RefusedError(Reason.CASE_UNREADABLE, f"a file is no NIfTI image ({type(error).__name__})") from error
