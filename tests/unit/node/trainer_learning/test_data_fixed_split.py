from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from brats_folders import NAMES, a_plan, brats, brats_case

from fedward_node.trainer.data.dataset import open_dataset
from fedward_node.trainer.data.fixed_split import read_fixed_split
from fedward_protocol.reasons import Reason, RefusedError

CASES = [NAMES["brats2023"].format(index) for index in range(4)]


def _fix(root: Path, document: Any) -> Path:
    (root / "split.json").write_text(json.dumps(document))
    return root


def test_the_hospitals_own_split_goes_before_the_plans_fraction(tmp_path: Path) -> None:
    root = _fix(brats(tmp_path, 4), {"training": CASES[3:], "validation": CASES[:2]})
    dataset = open_dataset(root, a_plan())
    assert (len(dataset.training), len(dataset.validation), dataset.skipped) == (1, 2, 0)


def test_a_damaged_case_of_a_fixed_split_is_skipped_like_any_other(tmp_path: Path) -> None:
    root = _fix(brats(tmp_path, 4), {"training": CASES[1:], "validation": CASES[:1]})
    next((root / CASES[2]).glob("*-t1c.nii.gz")).write_bytes(b"no NIfTI")
    dataset = open_dataset(root, a_plan())
    assert (len(dataset.training), len(dataset.validation), dataset.skipped) == (2, 1, 1)


def test_without_the_file_the_plan_decides(tmp_path: Path) -> None:
    assert read_fixed_split(tmp_path) is None


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"training": CASES, "validation": ["BraTS-GLI-77777-000"]}, "1 cases that are not in the folder"),
        ({"training": CASES, "validation": CASES[:2]}, "2 patients in both"),
        ({"training": CASES}, "must hold"),
        ({"training": CASES, "validation": [], "test": []}, "must hold"),
        ([CASES], "must hold"),
    ],
)
def test_a_split_that_cannot_be_followed_is_refused_not_guessed(tmp_path: Path, document: Any, says: str) -> None:
    with pytest.raises(RefusedError, match=says) as refusal:
        open_dataset(_fix(brats(tmp_path, 4), document), a_plan())
    assert refusal.value.reason is Reason.MALFORMED
    assert "BraTS-GLI" not in str(refusal.value)


def test_two_visits_of_one_patient_cannot_stand_on_both_sides(tmp_path: Path) -> None:
    for visit in ("BraTS-GLI-00001-000", "BraTS-GLI-00001-001"):
        brats_case(tmp_path, 1, name=visit)
    _fix(tmp_path, {"training": ["BraTS-GLI-00001-000"], "validation": ["BraTS-GLI-00001-001"]})
    with pytest.raises(RefusedError, match="1 patients in both"):
        open_dataset(tmp_path, a_plan())
