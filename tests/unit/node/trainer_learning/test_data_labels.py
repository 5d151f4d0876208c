from __future__ import annotations

from pathlib import Path

import brats_folders as folders
import numpy as np
import pytest

from fedward_node.trainer.data.dataset import open_dataset
from fedward_node.trainer.data.labels import BRATS_FOUR, BRATS_THREE, DECATHLON, Convention, check, depth
from fedward_protocol.reasons import Reason, RefusedError


def _sets(*values: set[int]) -> list[frozenset[int]]:
    return [frozenset(one) for one in values]


@pytest.mark.parametrize(
    ("title", "found", "convention"),
    [
        ("all classes", _sets({0, 1, 2, 4}), BRATS_FOUR),
        ("low grade has no enhancing part", _sets({0, 1, 2}, {0, 2}), BRATS_FOUR),
        ("2024's resection cavities beside enhancing tumour", _sets({0, 2, 4}, {0, 1, 2, 3, 4}), BRATS_THREE),
        ("one empty map among others", _sets({0}, {0, 1, 2, 3}), DECATHLON),
    ],
)
def test_labels_that_fit_are_accepted(title: str, found: list[frozenset[int]], convention: Convention) -> None:
    check(found, convention)


@pytest.mark.parametrize(
    ("title", "found", "convention", "said"),
    [
        ("3 where 4 is enhancing", _sets({0, 1, 2, 3}, {0, 2}), BRATS_FOUR, "1 of 2 cases hold label 3.*to brats2023"),
        ("4 where 3 is enhancing", _sets({0, 1, 2, 4}), BRATS_THREE, "none holds 3.*set data.format to brats2021"),
        ("4 in the Decathlon", _sets({0, 1, 4}), DECATHLON, "hold label 4"),
        ("a mask", _sets({0, 255}), BRATS_FOUR, "hold label 255.*relabel"),
        ("nothing at all", _sets({0}, {0}), BRATS_FOUR, "all 2 cases are empty"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_what_to_set(
    title: str, found: list[frozenset[int]], convention: Convention, said: str
) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        check(found, convention)
    assert refused.value.reason is Reason.LABEL_CONVENTION


def test_a_wrong_convention_stops_a_site_before_it_trains(tmp_path: Path) -> None:
    for index in range(3):
        folders.brats_case(tmp_path, index, "brats2018", values=(2, 1, 3))
    with pytest.raises(RefusedError, match="brats2023") as refused:
        open_dataset(tmp_path, folders.a_plan())
    assert refused.value.reason is Reason.LABEL_CONVENTION
    assert "TCIA" not in refused.value.detail  # a case's name stays at the site


@pytest.mark.parametrize(
    ("convention", "oedema", "core", "enhancing"), [(BRATS_FOUR, 2, 1, 4), (BRATS_THREE, 2, 1, 3), (DECATHLON, 1, 2, 3)]
)
def test_each_convention_maps_to_the_same_depths(
    convention: Convention, oedema: int, core: int, enhancing: int
) -> None:
    labels = np.array([[[0, oedema, core, enhancing]]], np.uint8)
    assert depth(labels, convention).ravel().tolist() == [0, 1, 2, 3]


def test_a_resection_cavity_belongs_to_no_region() -> None:
    assert depth(np.array([[[4]]], np.uint8), BRATS_THREE).item() == 0
