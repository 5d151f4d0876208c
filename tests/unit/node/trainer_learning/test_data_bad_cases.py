from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import brats_folders as folders
import nibabel
import numpy as np
import pytest

from fedward_node.trainer.data.dataset import open_dataset
from fedward_protocol.reasons import Reason, RefusedError


def _file(case: Path, suffix: str) -> Path:
    return case / f"{case.name}-{suffix}.nii.gz"


def _truncate(case: Path, suffix: str = "t1c") -> None:
    path = _file(case, suffix)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _rewrite(case: Path, suffix: str, values: np.ndarray, affine: np.ndarray | None = None) -> None:
    folders.save(_file(case, suffix), values, affine)


def _shifted(case: Path) -> None:
    affine = np.eye(4)
    affine[0, 3] = 2
    _rewrite(case, "t2w", np.asanyarray(nibabel.load(_file(case, "t2w")).dataobj), affine)


BAD = {
    "missing modality": (lambda case: _file(case, "t2f").unlink(), Reason.MODALITY_MISSING),
    "missing segmentation": (lambda case: _file(case, "seg").unlink(), Reason.MODALITY_MISSING),
    "truncated image": (_truncate, Reason.CASE_UNREADABLE),
    "truncated segmentation": (lambda case: _truncate(case, "seg"), Reason.CASE_UNREADABLE),
    "no NIfTI": (lambda case: _file(case, "t1n").write_bytes(b"hello"), Reason.CASE_UNREADABLE),
    "empty file": (lambda case: _file(case, "t1n").write_bytes(b""), Reason.CASE_UNREADABLE),
    "NaN": (lambda case: _rewrite(case, "t1n", np.full((16,) * 3, np.nan, np.float32)), Reason.CASE_UNREADABLE),
    "fractional labels": (lambda case: _rewrite(case, "seg", np.full((16,) * 3, 0.5)), Reason.CASE_UNREADABLE),
    "another shape": (lambda case: _rewrite(case, "t2w", np.ones((16, 16, 15), np.float32)), Reason.AFFINE_MISMATCH),
    "another place": (_shifted, Reason.AFFINE_MISMATCH),
}
CASES = pytest.mark.parametrize(("harm", "reason"), BAD.values(), ids=BAD.keys())


@CASES
def test_one_bad_case_among_good_ones_is_left_out_and_counted(
    harm: Callable[[Path], None], reason: Reason, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders.brats(tmp_path, 6)
    harm(tmp_path / "BraTS-GLI-00002-000")
    with caplog.at_level(logging.WARNING):
        dataset = open_dataset(tmp_path, folders.a_plan())
    assert dataset.skipped == 1
    assert len(dataset.training) + len(dataset.validation) == 5
    assert "BraTS-GLI-00002-000" in caplog.text
    assert str(tmp_path) not in caplog.text


@CASES
def test_one_bad_case_stops_the_site_where_the_plan_says_so(
    harm: Callable[[Path], None], reason: Reason, tmp_path: Path
) -> None:
    folders.brats(tmp_path, 3)
    harm(tmp_path / "BraTS-GLI-00001-000")
    plan = folders.a_plan(data={"dataset": "brats", "unreadableCases": "stop"})
    with pytest.raises(RefusedError) as refused:
        open_dataset(tmp_path, plan)
    assert refused.value.reason is reason
    assert "00001" not in str(refused.value)  # it may travel to the hub


def test_a_site_without_one_good_case_is_refused(tmp_path: Path) -> None:
    _truncate(folders.brats_case(tmp_path, 1))
    with pytest.raises(RefusedError, match="1 cases found, 1 of them unusable") as refused:
        open_dataset(tmp_path, folders.a_plan())
    assert refused.value.reason is Reason.DATASET_EMPTY


def test_a_bad_case_that_is_not_kept_in_memory_is_found_at_once_too(tmp_path: Path) -> None:
    folders.brats(tmp_path, 5)
    _truncate(tmp_path / "BraTS-GLI-00000-000")
    training = {"patch": [16, 16, 16], "cacheRate": 0.0}
    dataset = open_dataset(tmp_path, folders.a_plan(training=training), threads=2)
    assert dataset.skipped == 1
    assert dataset.training.read(0).image.shape == (4, 16, 16, 16)


def test_a_bad_case_moves_no_other_across_the_split(tmp_path: Path) -> None:
    folders.brats(tmp_path, 8)

    def held_out() -> set[str]:
        validation = open_dataset(tmp_path, folders.a_plan()).validation
        return {validation.read(index).name for index in range(len(validation))}

    before = held_out()
    spoilt = next(case for case in sorted(tmp_path.iterdir()) if case.name not in before)
    _truncate(spoilt)
    assert held_out() == before


def test_rounding_in_an_affine_is_no_mismatch_and_a_turned_image_is_turned_back(tmp_path: Path) -> None:
    folders.brats(tmp_path, 2)
    straight = open_dataset(tmp_path, folders.a_plan())
    for case in tmp_path.iterdir():
        for file in case.iterdir():
            values = np.asanyarray(nibabel.load(file).dataobj)
            affine = np.diag([-1.0, -1.0, 1.0, 1.0])
            affine[:2, 3] = 15 + (1e-3 if "t1c" in file.name else 0)
            folders.save(file, values[::-1, ::-1], affine)
    turned = open_dataset(tmp_path, folders.a_plan())
    assert turned.skipped == 0
    assert np.allclose(turned.training.read(0).image, straight.training.read(0).image)


@pytest.mark.parametrize(("modalities", "said"), [(["pet"], "'pet'; known are t1c"), (["t1c", "t1ce"], "twice")])
def test_an_unknown_modality_in_the_plan_is_refused(modalities: list[str], said: str, tmp_path: Path) -> None:
    folders.brats(tmp_path, 2)
    plan = folders.a_plan(data={"dataset": "brats", "modalities": modalities})
    with pytest.raises(RefusedError, match=said):
        open_dataset(tmp_path, plan)
