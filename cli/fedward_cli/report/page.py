"""Everything the page shows, arranged from a run's records; the template only places it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fedward_cli.report import story
from fedward_cli.report.comparison import Comparison, compare
from fedward_cli.report.departures import Departure, departures
from fedward_cli.report.measures import CURVES
from fedward_cli.report.pictures import Picture
from fedward_cli.report.plot import FEW, Plot, plot
from fedward_cli.report.scores import Scores, scores
from fedward_cli.report.series import curves
from fedward_cli.report.timings import Timings, timings
from fedward_cli.report.troubles import SHOWN, Trouble, troubles
from fedward_cli.report.words import count, decimal, duration, size
from fedward_cli.results import Baselines, Result, RoundRecord, mean_over_sites


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure of the headline, or a line of the provenance."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The report, section by section; a section that is None or empty is left out."""

    title: str
    namespace: str
    state: str
    date: str
    opening: str
    outcome: str | None
    against: str | None
    leaving: str
    failure: str | None
    troubles: tuple[Trouble, ...]
    more_troubles: int
    facts: tuple[Fact, ...]
    main_plot: Plot | None
    plots: tuple[Plot, ...]
    is_crowd: bool
    comparison: Comparison | None
    scores: Scores | None
    picked: str | None
    pictures: tuple[tuple[str, tuple[Picture, ...]], ...]
    departures: tuple[Departure, ...]
    timings: Timings | None
    time_note: str
    provenance: tuple[Fact, ...]


def arrange(
    result: Result, records: Sequence[RoundRecord], baselines: Baselines | None, pictures: Sequence[Picture]
) -> Page:
    """Arrange the page."""
    metric = _main_metric(result, records)
    means = mean_over_sites({site.name: site.metrics for site in result.sites})
    value, worst = means.get(metric), _worst(result, metric)
    comparison = compare(result, baselines, metric)
    names = sorted({site.name for site in result.sites} | {record.site for record in records})
    tones = {name: index for index, name in enumerate(names)} if len(names) <= FEW else {}
    title = "Mean Dice of the three regions" if metric == "dice" else metric
    delivered = result.model.round if result.model and result.state == "Completed" else None

    def drawn(title: str, name: str) -> Plot | None:
        return plot(title, curves(records, name), tones, result.rounds_done, delivered)

    found = troubles(result)
    return Page(
        title=result.name,
        namespace=result.namespace,
        state=result.state,
        date=_date(result.finished_at or result.started_at),
        opening=story.opening(result),
        outcome=story.outcome(result, value, worst) if metric == "dice" else None,
        against=story.against(comparison) if metric == "dice" else None,
        leaving=story.leaving(result),
        failure=story.failure(result),
        troubles=found[:SHOWN],
        more_troubles=max(0, len(found) - SHOWN),
        facts=_facts(result, metric, value, worst),
        main_plot=drawn(title, metric),
        plots=tuple(each for name, region in CURVES.items() if (each := drawn(region, name))),
        is_crowd=len(names) > FEW,
        comparison=comparison,
        scores=scores(result),
        picked=_picked(result),
        pictures=_by_site(pictures),
        departures=departures(result, records),
        timings=timings(result, records),
        time_note=_time_note(result),
        provenance=_provenance(result),
    )


def _main_metric(result: Result, records: Sequence[RoundRecord]) -> str:
    found = [*(site.metrics for site in result.sites), *(record.metrics for record in records)]
    names = {name for metrics in found for name in metrics}
    return "dice" if "dice" in names or not names else min(names)


def _worst(result: Result, metric: str) -> tuple[str, float] | None:
    found = [
        (site.name, mean.value)
        for site in result.sites
        if (mean := site.metrics.get(metric)) is not None and mean.value is not None
    ]
    return min(found, key=lambda pair: pair[1], default=None)


def _facts(result: Result, metric: str, value: float | None, worst: tuple[str, float] | None) -> tuple[Fact, ...]:
    is_dice = metric == "dice"
    name = "mean Dice" if is_dice else metric
    training = sum(site.training_cases for site in result.sites)
    facts = [
        Fact(name, decimal(value, 2), "over hospitals, each counting the same") if value is not None else None,
        Fact("worst hospital", decimal(worst[1], 2), worst[0]) if worst and is_dice and len(result.sites) > 1 else None,
        Fact("hospitals", str(len(result.sites)), f"{count(training, 'training case')}" if training else ""),
        Fact("rounds", f"{result.rounds_done}", f"of {result.rounds_planned} planned"),
        Fact("left the hospitals", size(result.nbytes_up), "of weight updates; no scan"),
    ]
    return tuple(fact for fact in facts if fact)


def _picked(result: Result) -> str | None:
    """Own up to a model that was chosen by the very cases it is judged on."""
    if result.model is None or not result.rounds_done or result.state != "Completed":
        return None
    if result.model.round == result.rounds_done:
        return f"The model is that of the last round, {result.model.round}."
    return (
        f"The model is that of round {result.model.round}, the best of {result.rounds_done} on these same held-out "
        "cases, so the figures flatter it a little."
    )


def _by_site(pictures: Sequence[Picture]) -> tuple[tuple[str, tuple[Picture, ...]], ...]:
    sites = dict.fromkeys(picture.site for picture in pictures)
    return tuple((site, tuple(each for each in pictures if each.site == site)) for site in sites)


def _time_note(result: Result) -> str:
    parts = [f"{duration(result.seconds)} from start to end"] if result.seconds else []
    if result.aggregate_seconds:
        parts.append(f"{duration(result.aggregate_seconds)} of it averaging updates at the hub")
    return ", ".join(parts)


def _provenance(result: Result) -> tuple[Fact, ...]:
    network, model = result.network, result.model
    lines = [
        ("job", f"{result.namespace}/{result.name}" if result.namespace else result.name),
        ("federation", result.federation),
        ("attempt", str(result.attempt)),
        ("seed", str(result.seed)),
        ("software", result.software),
        ("network", network.name if network else ""),
        ("parameters", f"{model.parameters:,}" if model and model.parameters else ""),
        ("inputs", ", ".join(network.modalities) if network else ""),
        ("aggregation", network.aggregation if network else ""),
        ("local epochs a round", str(network.local_epochs) if network and network.local_epochs else ""),
        ("filters the job asked for", (", ".join(network.filters) or "none") if network else ""),
        ("started", _date(result.started_at)),
        ("ended", _date(result.finished_at) if result.finished_at else ""),
        ("plan, SHA-256", result.plan_digest),
        ("model, SHA-256", model.digest if model else ""),
    ]
    return tuple(Fact(name, value) for name, value in lines if value)


def _date(moment: datetime) -> str:
    return f"{moment:%-d %B %Y, %H:%M} {moment.tzname() or ''}".strip()
