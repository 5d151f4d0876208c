from __future__ import annotations

from pathlib import Path

import brats_folders as folders
import numpy as np
import pytest

from fedward_node.trainer.data.dataset import open_dataset
from fedward_node.trainer.data.detect import detect
from fedward_node.trainer.data.labels import BRATS_THREE, regions
from fedward_protocol.reasons import Reason, RefusedError


@pytest.mark.parametrize("layout", ["brats2018", "brats2021", "brats2023", "decathlon"])
def test_every_layout_is_recognised_and_gives_the_same_cases(layout: str, tmp_path: Path) -> None:
    root = folders.decathlon(tmp_path) if layout == "decathlon" else folders.brats(tmp_path, layout=layout)
    cases, convention = detect(root)
    assert convention == detect(root, layout)[1]
    assert len({case.patient for case in cases}) == 5

    dataset = open_dataset(root, folders.a_plan())

    halves = (dataset.training, dataset.validation)
    opened = {case.name: case for half in halves for case in (half.read(index) for index in range(len(half)))}
    assert len(opened) == 5
    for index, name in enumerate(sorted(opened)):
        images, depths = folders.draw(index)
        assert np.array_equal(opened[name].depths, depths)
        bright = images["t1c"]
        assert np.allclose(opened[name].image[0], (bright - bright.mean()) / bright.std(), atol=1e-4)


def test_cases_are_found_in_nested_folders_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    folders.brats_case(tmp_path / "HGG", 1, "brats2018")
    folders.brats_case(tmp_path / "LGG", 2, "brats2018")
    (tmp_path / "HGG" / "._Brats18_TCIA_1_1_t1ce.nii.gz").write_bytes(b"resource fork")
    cases, _ = detect(tmp_path)
    assert [case.name for case in cases] == ["Brats18_TCIA_1_1", "Brats18_TCIA_2_1"]


def test_sessions_of_brats_2023_are_one_patient(tmp_path: Path) -> None:
    for name in ("BraTS-GLI-00001-000", "BraTS-GLI-00001-001", "BraTS-GLI-00002-000"):
        folders.brats_case(tmp_path, 1, name=name)
    cases, _ = detect(tmp_path)
    assert [case.patient for case in cases] == ["BraTS-GLI-00001", "BraTS-GLI-00001", "BraTS-GLI-00002"]


def test_a_plan_may_say_what_the_labels_of_renamed_files_mean(tmp_path: Path) -> None:
    folders.brats_case(tmp_path, 1, "brats2018", values=(2, 1, 3))
    assert detect(tmp_path, "brats2023")[1] is BRATS_THREE


def test_a_stray_dataset_json_does_no_harm_beside_brats_folders(tmp_path: Path) -> None:
    folders.brats(tmp_path, 2)
    (tmp_path / "dataset.json").write_text('{"training": []}')
    assert len(detect(tmp_path)[0]) == 2


@pytest.mark.parametrize(
    ("prepare", "wanted", "reason", "said"),
    [
        (lambda root: None, "auto", Reason.DATASET_EMPTY, "missing or empty"),
        (lambda root: (root / "notes.txt").write_text("x"), "auto", Reason.DATASET_FORMAT_UNKNOWN, "no case found"),
        (lambda root: folders.brats(root, 1), "decathlon", Reason.DATASET_FORMAT_UNKNOWN, "laid out as brats2023"),
        (lambda root: folders.decathlon(root, 1), "brats2018", Reason.DATASET_FORMAT_UNKNOWN, "laid out as decathlon"),
        (
            lambda root: (root / "dataset.json").write_text(
                '{"modality": {"0": "FLAIR"}, "training": [{"image": "../../etc/x", "label": "y"}]}'
            ),
            "auto",
            Reason.DATASET_FORMAT_UNKNOWN,
            "Task01",
        ),
    ],
)
def test_a_folder_that_fits_nothing_is_refused(prepare, wanted, reason, said, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    prepare(tmp_path)
    with pytest.raises(RefusedError, match=said) as refused:
        detect(tmp_path, wanted)
    assert refused.value.reason is reason


def test_regions_are_nested() -> None:
    whole, core, enhancing = regions(np.array([[[0, 1, 2, 3]]], np.uint8))
    assert whole.ravel().tolist() == [False, True, True, True]
    assert core.ravel().tolist() == [False, False, True, True]
    assert enhancing.ravel().tolist() == [False, False, False, True]
