"""Dice per site over the rounds, as polylines of an SVG of 600 by 240."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedward_cli.results import RoundRecord

WIDTH, HEIGHT = 600.0, 240.0


@dataclass(frozen=True, slots=True)
class Curve:
    """One site's polyline, and its last value."""

    site: str
    points: str
    last: float


def dice_curves(records: Iterable[RoundRecord]) -> list[Curve]:
    """Draw each site's mean Dice over the models that it evaluated; Dice runs from 0 at the bottom to 1 at the top."""
    values: dict[str, dict[int, float]] = {}
    for record in records:
        mean = record.metrics.get("dice")
        if mean is not None and mean.count:
            values.setdefault(record.site, {})[record.evaluated_round] = mean.sum / mean.count
    last = max((number for known in values.values() for number in known), default=0)
    return [
        Curve(site, " ".join(_point(number, dice, last) for number, dice in sorted(known.items())), known[max(known)])
        for site, known in sorted(values.items())
    ]


def _point(number: int, dice: float, last: int) -> str:
    return f"{WIDTH * number / max(1, last):.1f},{HEIGHT * (1 - dice):.1f}"
