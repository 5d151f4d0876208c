"""Whether a case can be trained on, as far as headers and its label map tell.

A refusal may travel to the hub, so it never names a case; the site's own log does, by the case folder's name.
"""

from __future__ import annotations

from collections.abc import Sequence

from fedward_node.trainer.data.case import MODALITY_SPELLINGS, CaseFiles, Volume
from fedward_node.trainer.data.volumes import Grid, read_grid
from fedward_protocol.reasons import Reason, RefusedError


def wanted_modalities(names: Sequence[str]) -> tuple[str, ...]:
    """Translate plan.data.modalities to our names, in the order of the channels.

    Raises:
        RefusedError: MODALITY_MISSING where a name is none that any release uses, or one comes twice.
    """
    unknown = [name for name in names if name.lower() not in MODALITY_SPELLINGS]
    if unknown:
        raise RefusedError(
            Reason.MODALITY_MISSING,
            f"data.modalities names {unknown[0]!r}; known are {', '.join(sorted(set(MODALITY_SPELLINGS.values())))}",
        )
    wanted = tuple(MODALITY_SPELLINGS[name.lower()] for name in names)
    if len(set(wanted)) < len(wanted):
        raise RefusedError(Reason.MODALITY_MISSING, "data.modalities names the same modality twice")
    return wanted


def check_case(case: CaseFiles, modalities: Sequence[str]) -> Grid:
    """Look for everything that the headers can tell, and give the grid that the case's volumes share.

    Raises:
        RefusedError: MODALITY_MISSING, CASE_UNREADABLE or AFFINE_MISMATCH.
    """
    missing = [name for name in modalities if name not in case.images]
    if missing:
        raise RefusedError(Reason.MODALITY_MISSING, f"no {', '.join(missing)}")
    if case.segmentation is None:
        raise RefusedError(Reason.MODALITY_MISSING, "no segmentation")
    grid = read_grid(case.segmentation)
    for name in modalities:
        _check_image(name, case.images[name], grid)
    return grid


def _check_image(name: str, volume: Volume, grid: Grid) -> None:
    image = read_grid(volume)
    if volume.channel is not None and volume.channel >= image.channels:
        raise RefusedError(Reason.MODALITY_MISSING, f"the image has {image.channels} channels, too few to hold {name}")
    if image.shape != grid.shape:
        raise RefusedError(
            Reason.AFFINE_MISMATCH, f"{name} has {image.shape} voxels, the segmentation {grid.shape}; resample one"
        )
    if not image.matches(grid):
        raise RefusedError(Reason.AFFINE_MISMATCH, f"{name} and the segmentation lie apart in space; register them")
