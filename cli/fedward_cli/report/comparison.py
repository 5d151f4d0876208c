"""Local, federated, central: the same network trained on one hospital's cases, together, and on everybody's pooled."""

from __future__ import annotations

from dataclasses import dataclass

from fedward_cli.results import Baselines, Metrics, Result


@dataclass(frozen=True, slots=True)
class Row:
    """One site's (or the mean's) figures; None where an arm was not run or did not measure it."""

    name: str
    local: float | None
    federated: float | None
    central: float | None

    @property
    def span(self) -> tuple[float, float]:
        """From the lowest to the highest, in per cent."""
        values = [value for value in (self.local, self.federated, self.central) if value is not None]
        return (min(values) * 100, max(values) * 100) if values else (0, 0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All sites, their mean (over the sites that every arm measured), and what training cost outside the federation."""

    metric: str
    rows: tuple[Row, ...]
    mean: Row
    local_seconds: float
    central_seconds: float
    better: int
    """How many sites the federation serves better than training alone."""


def compare(result: Result, baselines: Baselines | None, metric: str) -> Comparison | None:
    """Set the arms side by side; None where no baseline was run."""
    if baselines is None or not (baselines.local or baselines.central):
        return None
    rows = []
    for site in result.sites:
        alone = baselines.local.get(site.name)
        pooled = baselines.central.sites.get(site.name, {}) if baselines.central else {}
        rows.append(
            Row(
                site.name,
                _value(alone.sites.get(site.name, {}), metric) if alone else None,
                _value(site.metrics, metric),
                _value(pooled, metric),
            )
        )
    return Comparison(
        metric,
        tuple(rows),
        _mean(rows, with_local=bool(baselines.local), with_central=baselines.central is not None),
        sum(run.seconds for run in baselines.local.values()),
        baselines.central.seconds if baselines.central else 0.0,
        sum(1 for row in rows if row.local is not None and row.federated is not None and row.federated > row.local),
    )


def _value(metrics: Metrics, metric: str) -> float | None:
    mean = metrics.get(metric)
    return mean.value if mean else None


def _mean(rows: list[Row], *, with_local: bool, with_central: bool) -> Row:
    """Average over the sites that all arms measured, or the arms would be compared on different patients."""
    shared = [
        row
        for row in rows
        if row.federated is not None
        and (row.local is not None or not with_local)
        and (row.central is not None or not with_central)
    ]

    def over(values: list[float | None]) -> float | None:
        found = [value for value in values if value is not None]
        return sum(found) / len(found) if found else None

    return Row(
        "mean",
        over([row.local for row in shared]),
        over([row.federated for row in shared]),
        over([row.central for row in shared]),
    )
