"""What the metrics are called, which way is better, and in which order a reader wants them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric: its name in the records, its group and heading in tables, and what it says."""

    name: str
    group: str
    heading: str
    title: str
    lower_is_better: bool = False
    digits: int = 3

    def worse(self, one: float, other: float) -> bool:
        """Tell whether `one` is worse than `other`."""
        return one > other if self.lower_is_better else one < other


_DICE, _HD95 = "Dice, 0 to 1, higher is better", "HD95 in mm, lower is better"

KNOWN = (
    Measure("dice", _DICE, "mean", "mean Dice of the three regions"),
    Measure("dice_wt", _DICE, "WT", "Dice of the whole tumour"),
    Measure("dice_tc", _DICE, "TC", "Dice of the tumour core"),
    Measure("dice_et", _DICE, "ET", "Dice of the enhancing tumour, all cases"),
    Measure("dice_et_present", _DICE, "ET*", "Dice of the enhancing tumour, only cases that have one"),
    Measure("hd95", _HD95, "mean", "95% Hausdorff distance, mean of the three regions", True, 1),
    Measure("hd95_wt", _HD95, "WT", "95% Hausdorff distance of the whole tumour", True, 1),
    Measure("hd95_tc", _HD95, "TC", "95% Hausdorff distance of the tumour core", True, 1),
    Measure("hd95_et", _HD95, "ET", "95% Hausdorff distance of the enhancing tumour", True, 1),
)

CURVES = {
    "dice_wt": "Whole tumour (WT)",
    "dice_tc": "Tumour core (TC)",
    "dice_et": "Enhancing tumour (ET)",
}
"""The regions that have a curve of their own."""

_OTHERS = 6
"""A bundle may measure anything; more columns than this nobody reads."""


def present(names: Iterable[str]) -> tuple[Measure, ...]:
    """Choose and order the measures among the metrics found; unknown ones follow under their own names."""
    found = set(names)
    known = tuple(measure for measure in KNOWN if measure.name in found)
    unknown = sorted(found - {measure.name for measure in KNOWN})[:_OTHERS]
    return (*known, *(Measure(name, "Other metrics", name, name) for name in unknown))
