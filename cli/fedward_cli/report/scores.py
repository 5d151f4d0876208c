"""The table of results: every site's metrics, their mean, and the worst-served site of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from fedward_cli.report.measures import Measure, present
from fedward_cli.report.words import NOTHING, decimal
from fedward_cli.results import Result, SiteResult


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure; `is_worst` marks the site that a column serves worst."""

    text: str
    is_worst: bool = False


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One site: its cases, and a cell for each measure."""

    name: str
    training: int
    held_out: int
    skipped: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """The table; `groups` are the headings over the measures, with how many each spans."""

    measures: tuple[Measure, ...]
    groups: tuple[tuple[str, int], ...]
    rows: tuple[ScoreRow, ...]
    mean: tuple[str, ...]
    worst: tuple[tuple[str, str], ...]
    """For each measure the worst value, and whose it is."""
    held_out: int


def scores(result: Result) -> Scores | None:
    """Lay the table out; None where no site measured anything."""
    measures = present(name for site in result.sites for name, mean in site.metrics.items() if mean.count)
    if not measures:
        return None
    worst = {measure.name: _worst(result.sites, measure) for measure in measures}
    return Scores(
        measures,
        tuple((group, len(list(found))) for group, found in groupby(measures, key=lambda each: each.group)),
        tuple(_row(site, measures, worst, len(result.sites)) for site in result.sites),
        tuple(decimal(_mean(result.sites, each), each.digits) for each in measures),
        tuple(_named(worst[each.name], each) for each in measures),
        sum(site.validation_cases for site in result.sites),
    )


def _value(site: SiteResult, measure: Measure) -> float | None:
    mean = site.metrics.get(measure.name)
    return mean.value if mean else None


def _row(site: SiteResult, measures: Sequence[Measure], worst: dict[str, SiteResult | None], sites: int) -> ScoreRow:
    cells = tuple(
        Cell(decimal(_value(site, each), each.digits), sites > 1 and worst[each.name] is site) for each in measures
    )
    return ScoreRow(site.name, site.training_cases, site.validation_cases, site.skipped_cases, cells)


def _worst(sites: Sequence[SiteResult], measure: Measure) -> SiteResult | None:
    found = [(value, site) for site in sites if (value := _value(site, measure)) is not None]
    if not found:
        return None
    choose = max if measure.lower_is_better else min
    return choose(found, key=lambda pair: pair[0])[1]


def _mean(sites: Sequence[SiteResult], measure: Measure) -> float | None:
    found = [value for site in sites if (value := _value(site, measure)) is not None]
    return sum(found) / len(found) if found else None


def _named(site: SiteResult | None, measure: Measure) -> tuple[str, str]:
    return (decimal(_value(site, measure), measure.digits), site.name) if site else (NOTHING, "")
