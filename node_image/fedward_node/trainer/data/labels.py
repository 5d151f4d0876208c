"""What the label values mean: from a release's convention to the nested regions WT, TC and ET."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedward_protocol.reasons import Reason, RefusedError

REGIONS = ("wt", "tc", "et")
"""Whole tumour, tumour core, enhancing tumour: the channels of truth and prediction, in this order."""


@dataclass(frozen=True, slots=True)
class Convention:
    """Which value marks which tissue.

    Attributes:
        title: how people call it.
        core: necrosis and non-enhancing core.
        oedema: peritumoural oedema.
        enhancing: enhancing tumour.
        outside: further values that may stand in a label map and belong to no region.
        rival: the plan.data.format to suggest where values tell that this convention is the wrong one.
    """

    title: str
    core: int
    oedema: int
    enhancing: int
    outside: tuple[int, ...] = ()
    rival: str = ""

    @property
    def values(self) -> frozenset[int]:
        """All values that a label map may hold."""
        return frozenset((0, self.core, self.oedema, self.enhancing, *self.outside))


BRATS_FOUR = Convention("BraTS 2018 to 2021 (4 is enhancing)", core=1, oedema=2, enhancing=4, rival="brats2023")
# BraTS 2024 adds 4 for the resection cavity after surgery, which is no part of WT, TC or ET.
BRATS_THREE = Convention(
    "BraTS 2023 and 2024 (3 is enhancing)", core=1, oedema=2, enhancing=3, outside=(4,), rival="brats2021"
)
DECATHLON = Convention("Medical Segmentation Decathlon Task01 (1 is oedema)", core=2, oedema=1, enhancing=3)


def depth(labels: npt.NDArray[np.uint8], convention: Convention) -> npt.NDArray[np.uint8]:
    """Turn a label map (X, Y, Z) into how many regions each voxel is in: 1 oedema, 2 core, 3 enhancing, 0 none.

    The regions are nested, so this says the same whatever the release.
    """
    table = np.zeros(256, np.uint8)
    table[[convention.oedema, convention.core, convention.enhancing]] = 1, 2, 3
    return table[labels]


def regions(depths: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Turn depths (X, Y, Z) into overlapping regions (3, X, Y, Z) in the order of `REGIONS`."""
    return np.stack([depths >= level for level in (1, 2, 3)])


def check(found: Sequence[frozenset[int]], convention: Convention) -> None:
    """Refuse a dataset whose label values, one set for each case, do not fit the convention.

    A wrong convention trains an empty or a wrong class without any other sign, so doubt is refused too.

    Raises:
        RefusedError: LABEL_CONVENTION, with what was found, in how many cases, and what to set.
    """
    strange = _count(found, lambda values: bool(values - convention.values))
    if strange:
        unknown = sorted(frozenset().union(*found) - convention.values)
        raise RefusedError(
            Reason.LABEL_CONVENTION,
            f"{strange} of {len(found)} cases hold {_listed(unknown)}, which {convention.title} does not know; "
            + _advice(unknown, convention),
        )
    cavities = _count(found, lambda values: bool(values & frozenset(convention.outside)))
    if cavities and not _count(found, lambda values: convention.enhancing in values):
        raise RefusedError(
            Reason.LABEL_CONVENTION,
            f"{cavities} of {len(found)} cases hold {_listed(convention.outside)} and none holds "
            f"{convention.enhancing}, so {_listed(convention.outside)} is probably the enhancing tumour and not what "
            f"{convention.title} means by it; set data.format to {convention.rival}",
        )
    if found and not _count(found, lambda values: bool(values - {0})):
        raise RefusedError(
            Reason.LABEL_CONVENTION,
            f"the label maps of all {len(found)} cases are empty; check that the segmentation files are the right ones",
        )


def _count(found: Sequence[frozenset[int]], holds: Callable[[frozenset[int]], bool]) -> int:
    return sum(1 for values in found if holds(values))


def _listed(values: Sequence[int]) -> str:
    names = [str(value) for value in values[:5]]
    return f"label {names[0]}" if len(names) == 1 else "labels " + ", ".join(names)


def _advice(unknown: Sequence[int], convention: Convention) -> str:
    if list(unknown) == [3] and convention.rival:
        return f"if 3 is the enhancing tumour, set data.format to {convention.rival}"
    return "relabel these maps, or set data.format to the release that they come from"
