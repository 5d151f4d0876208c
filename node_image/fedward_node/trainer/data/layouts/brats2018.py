"""BraTS 2018 to 2020: <case>_t1ce.nii.gz, in HGG and LGG folders or not; 4 is the enhancing tumour."""

from __future__ import annotations

from pathlib import Path

from fedward_node.trainer.data.case import CaseFiles
from fedward_node.trainer.data.labels import BRATS_FOUR
from fedward_node.trainer.data.layouts.layout import Layout
from fedward_node.trainer.data.layouts.suffixes import find as find_by_suffix

MODALITIES = {"t1ce": "t1c", "t1": "t1n", "t2": "t2w", "flair": "t2f"}


def _find(root: Path) -> list[CaseFiles]:
    return find_by_suffix(root, "_", MODALITIES)


BRATS2018 = Layout("brats2018", BRATS_FOUR, _find)
