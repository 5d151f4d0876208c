"""BraTS 2021: BraTS2021_<number>_t1ce.nii.gz, one folder; 4 is the enhancing tumour."""

from __future__ import annotations

from pathlib import Path

from fedward_node.trainer.data.case import CaseFiles
from fedward_node.trainer.data.labels import BRATS_FOUR
from fedward_node.trainer.data.layouts.brats2018 import MODALITIES
from fedward_node.trainer.data.layouts.layout import Layout
from fedward_node.trainer.data.layouts.suffixes import find as find_by_suffix

_PREFIX = "BraTS2021_"


def _find(root: Path) -> list[CaseFiles]:
    return [case for case in find_by_suffix(root, "_", MODALITIES) if case.name.startswith(_PREFIX)]


BRATS2021 = Layout("brats2021", BRATS_FOUR, _find)
