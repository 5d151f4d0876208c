"""Where the time went, site by site: training, evaluating, moving bytes, waiting for the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedward_cli.report.words import duration
from fedward_cli.results import Result, RoundRecord

STAGES = ("training", "evaluating", "transfer", "privacy filters", "waiting")


@dataclass(frozen=True, slots=True)
class Part:
    """A segment of a site's bar: `width` in per cent of the longest bar."""

    stage: str
    number: int
    text: str
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One site's bar and its total."""

    name: str
    parts: tuple[Part, ...]
    total: str


@dataclass(frozen=True, slots=True)
class Timings:
    """All bars, and what the federation spent in the sites' whole time on each stage, in per cent."""

    bars: tuple[Bar, ...]
    shares: tuple[tuple[str, int, str], ...]


def timings(result: Result, records: Sequence[RoundRecord]) -> Timings | None:
    """Add up each site's seconds by stage; None where nothing was timed."""
    sums = {site.name: [0.0] * len(STAGES) for site in result.sites}
    for record in records:
        spent = record.seconds
        stages = (spent.train, spent.evaluate, spent.fetch + spent.submit, spent.filter, spent.wait)
        row = sums.setdefault(record.site, [0.0] * len(STAGES))
        for index, seconds in enumerate(stages):
            row[index] += seconds
    longest = max((sum(row) for row in sums.values()), default=0.0)
    if longest <= 0:
        return None
    whole = sum(sum(row) for row in sums.values())
    totals = [sum(row[index] for row in sums.values()) for index in range(len(STAGES))]
    bars = tuple(Bar(name, _parts(row, longest), duration(sum(row))) for name, row in sums.items())
    shares = tuple((stage, index, _share(totals[index] / whole)) for index, stage in enumerate(STAGES))
    return Timings(bars, shares)


def _share(part: float) -> str:
    """Write a share so that "0%" means nothing at all and not a little."""
    return "<1%" if 0 < part < 0.005 else f"{part:.0%}"


def _parts(row: Sequence[float], longest: float) -> tuple[Part, ...]:
    return tuple(
        Part(stage, index, duration(seconds), seconds / longest * 100)
        for index, (stage, seconds) in enumerate(zip(STAGES, row, strict=True))
        if seconds > 0
    )
