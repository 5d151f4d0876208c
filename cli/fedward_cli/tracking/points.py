"""What of a round is worth a point in a chart: names, values, steps and the hub's times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fedward_cli.results import ClosedRound, RoundRecord, mean_over_sites

STAGES = ("fetch", "evaluate", "train", "filter", "submit", "wait")
_OWN = frozenset(
    {
        "round",
        "train_loss",
        "samples",
        "weight",
        "bytes_up",
        "bytes_down",
        "epsilon",
        "spent_epsilon",
        "sites",
        "missing_sites",
        *(f"{stage}_seconds" for stage in (*STAGES, "round", "aggregate")),
    }
)
"""Names that a metric of the trainer's may not take."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value of the federation, or of one site of it.

    Attributes:
        name: `dice_et`, `train_seconds`; the same for a site and for the federation.
        step: rounds aggregated into the model that was measured; of training, the round.
        at: Unix seconds, the aggregator's clock.
        site: None for the federation.
    """

    name: str
    value: float
    step: int
    at: float
    site: str | None = None

    @property
    def key(self) -> str:
        """Its name among those of all sites: `north/dice`; what belongs to the federation has no slash."""
        return self.name if self.site is None else f"{self.site}/{self.name}"


def points_of(parts: Sequence[RoundRecord], closed: ClosedRound | None, chosen_by: str) -> list[Point]:
    """Give the points of one round, or (all parts without samples) of the last model's evaluation.

    Args:
        parts: each site's part in it, in any order.
        closed: the round as a whole; None for an evaluation, and where nobody wrote it down.
        chosen_by: the metric that the best model is chosen by.
    """
    parts = sorted(parts, key=lambda part: part.site)
    at = closed.closed_at if closed else max((part.received_at or 0.0 for part in parts), default=0.0)
    points = [point for part in parts for point in (*_measured(part, at), *_trained(part, at))]
    points += _federation_measured(parts, at, chosen_by)
    points += _federation_trained([part for part in parts if part.samples], at)
    if closed is not None:
        values = {
            "sites": len(closed.sites),
            "missing_sites": len(closed.missing),
            "round_seconds": closed.closed_at - closed.opened_at,
            "wait_seconds": closed.wait_seconds,
            "aggregate_seconds": closed.aggregate_seconds,
        }
        points += [Point(name, float(value), closed.round, at) for name, value in values.items()]
    return points


def _measured(part: RoundRecord, at: float) -> Iterator[Point]:
    for name, mean in sorted(part.metrics.items()):
        if mean.value is not None and name not in _OWN:
            yield Point(name, mean.value, part.evaluated_round, part.received_at or at, part.site)


def _trained(part: RoundRecord, at: float) -> Iterator[Point]:
    if not part.samples:
        return
    values: dict[str, float | None] = {
        "train_loss": part.train_loss,
        "samples": part.samples,
        "weight": part.weight,
        "bytes_up": part.nbytes_up,
        "bytes_down": part.nbytes_down,
        **{f"{stage}_seconds": getattr(part.seconds, stage) for stage in STAGES},
    }
    if part.release is not None and part.release.spent_epsilon > 0:
        values |= {"epsilon": part.release.epsilon, "spent_epsilon": part.release.spent_epsilon}
    for name, value in values.items():
        if value is not None:
            yield Point(name, float(value), part.round, part.received_at or at, part.site)


def _federation_measured(parts: Sequence[RoundRecord], at: float, chosen_by: str) -> Iterator[Point]:
    by_model: dict[int, list[RoundRecord]] = {}
    for part in parts:
        by_model.setdefault(part.evaluated_round, []).append(part)
    for model_round, measured in sorted(by_model.items()):
        for name, value in mean_over_sites({part.site: part.metrics for part in measured}).items():
            if name not in _OWN:
                yield Point(name, value, model_round, at)
        means = [part.metrics[chosen_by] for part in measured if chosen_by in part.metrics]
        count = sum(mean.count for mean in means)
        if count:
            yield Point(f"{chosen_by}_over_cases", sum(mean.sum for mean in means) / count, model_round, at)


def _federation_trained(parts: Sequence[RoundRecord], at: float) -> Iterator[Point]:
    if not parts:
        return
    step = parts[0].round
    losses: Mapping[int, float] = {
        index: part.train_loss for index, part in enumerate(parts) if part.train_loss is not None
    }
    if losses:
        samples = sum(parts[index].samples for index in losses)
        mean = sum(parts[index].samples * loss for index, loss in losses.items()) / samples
        yield Point("train_loss", mean, step, at)
    yield Point("bytes_up", float(sum(part.nbytes_up for part in parts)), step, at)
    yield Point("bytes_down", float(sum(part.nbytes_down for part in parts)), step, at)
