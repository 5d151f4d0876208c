"""BraTS 2023 and 2024: BraTS-GLI-<patient>-<session>-t1c.nii.gz; 3 is the enhancing tumour."""

from __future__ import annotations

import re
from pathlib import Path

from fedward_node.trainer.data.case import CaseFiles
from fedward_node.trainer.data.labels import BRATS_THREE
from fedward_node.trainer.data.layouts.layout import Layout
from fedward_node.trainer.data.layouts.suffixes import find as find_by_suffix

MODALITIES = {"t1c": "t1c", "t1n": "t1n", "t2w": "t2w", "t2f": "t2f"}
_SESSION = re.compile(r"-\d{3}$")


def _patient(name: str) -> str:
    """Drop the session: BraTS-GLI-00001-000 and BraTS-GLI-00001-001 are one patient at two times."""
    return _SESSION.sub("", name)


def _find(root: Path) -> list[CaseFiles]:
    return find_by_suffix(root, "-", MODALITIES, _patient)


BRATS2023 = Layout("brats2023", BRATS_THREE, _find)
