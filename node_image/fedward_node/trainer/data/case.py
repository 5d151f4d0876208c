"""A case: the files of one scan session of one patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MODALITY_SPELLINGS: Mapping[str, str] = {
    "t1c": "t1c",
    "t1ce": "t1c",
    "t1gd": "t1c",
    "t1n": "t1n",
    "t1": "t1n",
    "t1w": "t1n",
    "t2w": "t2w",
    "t2": "t2w",
    "t2f": "t2f",
    "flair": "t2f",
}
"""Every spelling of a modality that the BraTS releases and the Decathlon use, in lower case, to our name for it."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A 3D image: a NIfTI file, or one channel of a 4D one."""

    path: Path
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """Where a case's volumes lie.

    Attributes:
        name: the case folder's (or file prefix's) name; it may stand in the site's own log and nowhere else.
        patient: cases of one patient share it, so that they fall on one side of the split.
        images: our modality names ("t1c", …) to volumes; some may be missing.
        segmentation: the label map, if there is one.
    """

    name: str
    patient: str
    images: Mapping[str, Volume]
    segmentation: Volume | None
