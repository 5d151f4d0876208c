"""Which layout a dataset's folder has: the plan's word for it, or the first one that finds cases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fedward_node.trainer.data.case import CaseFiles
from fedward_node.trainer.data.labels import Convention
from fedward_node.trainer.data.layouts import BRATS2018, BRATS2021, BRATS2023, DECATHLON_TASK01
from fedward_node.trainer.data.layouts.layout import Layout
from fedward_protocol.reasons import Reason, RefusedError

# From the most to the least particular: 2018's pattern would take 2021's cases as well.
LAYOUTS: Mapping[str, Layout] = {layout.name: layout for layout in (DECATHLON_TASK01, BRATS2023, BRATS2021, BRATS2018)}


def detect(root: Path, wanted: str = "auto") -> tuple[list[CaseFiles], Convention]:
    """Find a folder's cases and what their labels mean.

    A BraTS release that the plan names decides on the labels even where the files are named as in another release, as
    they are after a conversion.

    Args:
        root: the dataset's folder.
        wanted: plan.data.format.

    Raises:
        RefusedError: DATASET_EMPTY where nothing is there, DATASET_FORMAT_UNKNOWN where nothing is recognised.
    """
    if not root.is_dir() or not any(root.iterdir()):
        raise RefusedError(Reason.DATASET_EMPTY, "the dataset's folder is missing or empty; check the volume's path")
    # The one that the plan names is tried first, so that a stray dataset.json beside BraTS folders does no harm.
    for layout in sorted(LAYOUTS.values(), key=lambda layout: layout.name != wanted):
        cases = layout.find(root)
        if not cases:
            continue
        if wanted in ("auto", layout.name):
            return cases, layout.convention
        if DECATHLON_TASK01.name in (wanted, layout.name):
            raise RefusedError(
                Reason.DATASET_FORMAT_UNKNOWN,
                f"data.format is {wanted}, but the folder is laid out as {layout.name}; set it to that, or to auto",
            )
        return cases, LAYOUTS[wanted].convention
    raise RefusedError(
        Reason.DATASET_FORMAT_UNKNOWN,
        "no case found; expected <case>_t1ce.nii.gz (BraTS 2018 to 2021), <case>-t1c.nii.gz (BraTS 2023, 2024) or a "
        "dataset.json (Decathlon Task01)",
    )
