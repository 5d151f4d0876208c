from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_node.trainer.algorithm import MeanMetric
from fedward_node.trainer.segmentation.metrics import MISSED_MM, dice, hd95
from fedward_node.trainer.segmentation.scores import add_up, score

EMPTY = np.zeros((8, 8, 8), bool)


def _cube(start: int, stop: int) -> np.ndarray:
    mask = EMPTY.copy()
    mask[start:stop, start:stop, start:stop] = True
    return mask


@pytest.mark.parametrize(
    ("title", "truth", "prediction", "wanted_dice", "wanted_hd95"),
    [
        ("both empty", EMPTY, EMPTY, 1.0, 0.0),
        ("a false positive on an empty truth", EMPTY, _cube(2, 3), 0.0, MISSED_MM),
        ("missed altogether", _cube(2, 3), EMPTY, 0.0, MISSED_MM),
        ("perfect", _cube(2, 5), _cube(2, 5), 1.0, 0.0),
        ("apart", _cube(1, 2), _cube(4, 5), 0.0, float(np.sqrt(27) * 2)),
    ],
)
def test_empty_and_plain_cases_follow_the_challenge(title, truth, prediction, wanted_dice, wanted_hd95) -> None:  # type: ignore[no-untyped-def]
    assert dice(truth, prediction) == wanted_dice
    assert hd95(truth, prediction, (2.0, 2.0, 2.0)) == pytest.approx(wanted_hd95)


def test_the_distance_of_a_miss_is_the_diagonal_of_the_challenges_grid() -> None:
    assert pytest.approx(np.sqrt(240**2 + 240**2 + 155**2), abs=0.01) == MISSED_MM


def test_distances_are_in_millimetres_along_each_axis() -> None:
    one, other = EMPTY.copy(), EMPTY.copy()
    one[4, 4, 1] = other[4, 4, 6] = True
    assert hd95(one, other, (1.0, 1.0, 3.0)) == pytest.approx(15)


def test_dice_et_present_leaves_out_cases_without_enhancing_tumour() -> None:
    with_et = np.stack([_cube(1, 6), _cube(2, 5), _cube(3, 4)])
    without_et = np.stack([_cube(1, 6), _cube(2, 5), EMPTY])
    false_positive = score(without_et, with_et, (1, 1, 1))
    assert false_positive["dice_et"] == 0
    assert "dice_et_present" not in false_positive
    assert false_positive["dice"] == pytest.approx(2 / 3)
    sums = add_up([false_positive, score(with_et, with_et, (1, 1, 1))])
    assert sums["dice_et"] == MeanMetric(1.0, 2)
    assert sums["dice_et_present"] == MeanMetric(1.0, 1)


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=8), min_size=1, max_size=6))
def test_sums_of_sites_make_the_mean_of_all_cases(sites: list[list[float]]) -> None:
    means = [add_up({"dice": value} for value in cases)["dice"] for cases in sites]
    pooled = sum(mean.sum for mean in means) / sum(mean.count for mean in means)
    assert pooled == pytest.approx(np.mean([value for cases in sites for value in cases]))


@pytest.mark.torch
@pytest.mark.parametrize("seed", range(4))
def test_both_metrics_agree_with_monai(seed: int) -> None:
    import torch
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance
    from monai.metrics.meandice import compute_dice

    random = np.random.default_rng(seed)
    grid = np.indices((14, 15, 16))
    truth, prediction = (
        ((grid - random.integers(5, 9, 3)[:, None, None, None]) ** 2).sum(axis=0) < random.integers(9, 25)
        for _ in range(2)
    )
    prediction = prediction ^ (random.random(prediction.shape) < 0.01)
    masks = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth)]
    assert dice(truth, prediction) == pytest.approx(compute_dice(*masks).item())
    wanted = compute_hausdorff_distance(*masks, include_background=True, percentile=95, spacing=(1.0, 2.0, 1.5)).item()
    assert hd95(truth, prediction, (1.0, 2.0, 1.5)) == pytest.approx(wanted, rel=1e-4)
