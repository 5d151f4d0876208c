"""How each site's and the mean metric went over the rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedward_cli.results import RoundRecord

Points = tuple[tuple[int, float], ...]
"""(rounds aggregated into the model, value), by round."""


@dataclass(frozen=True, slots=True)
class Curves:
    """One metric over the rounds: a curve for each site, and the mean of the sites that measured a round's model."""

    sites: dict[str, Points]
    mean: Points


def curves(records: Sequence[RoundRecord], metric: str) -> Curves:
    """Collect a metric's curves; where an attempt measured a model again, the later record counts."""
    values: dict[str, dict[int, float]] = {}
    for record in records:
        mean = record.metrics.get(metric)
        if mean is not None and mean.value is not None:
            values.setdefault(record.site, {})[record.evaluated_round] = mean.value
    by_round: dict[int, list[float]] = {}
    for found in values.values():
        for number, value in found.items():
            by_round.setdefault(number, []).append(value)
    return Curves(
        {site: tuple(sorted(found.items())) for site, found in sorted(values.items())},
        tuple((number, sum(found) / len(found)) for number, found in sorted(by_round.items())),
    )
