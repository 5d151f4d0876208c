"""From the metrics of cases to means that add up across sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from fedward_node.trainer.algorithm import MeanMetric
from fedward_node.trainer.data.labels import REGIONS
from fedward_node.trainer.segmentation.metrics import dice, hd95

Scores = Mapping[str, float]
"""Metric name to its value in one case; a metric that does not apply to the case is left out."""


def score(
    truth: npt.NDArray[np.bool_], prediction: npt.NDArray[np.bool_], spacing: tuple[float, float, float]
) -> Scores:
    """Score one case.

    Args:
        truth: regions (3, X, Y, Z) in the order of `REGIONS`.
        prediction: likewise.
        spacing: millimetres between voxels.

    Returns:
        dice_<region> and hd95_<region> of each region, their means over regions as dice and hd95, and dice_et_present
        only where the truth holds enhancing tumour: at small sites, cases without it decide much of dice_et, because
        one false voxel turns 1 into 0.
    """
    scores: dict[str, float] = {}
    for index, region in enumerate(REGIONS):
        scores[f"dice_{region}"] = dice(truth[index], prediction[index])
        scores[f"hd95_{region}"] = hd95(truth[index], prediction[index], spacing)
    if truth[REGIONS.index("et")].any():
        scores["dice_et_present"] = scores["dice_et"]
    for metric in ("dice", "hd95"):
        scores[metric] = sum(scores[f"{metric}_{region}"] for region in REGIONS) / len(REGIONS)
    return scores


def add_up(cases: Iterable[Scores]) -> dict[str, MeanMetric]:
    """Add the cases' scores up by metric."""
    sums: dict[str, MeanMetric] = {}
    for scores in cases:
        for name, value in scores.items():
            so_far = sums.get(name, MeanMetric(0.0, 0))
            sums[name] = MeanMetric(so_far.sum + value, so_far.count + 1)
    return sums
