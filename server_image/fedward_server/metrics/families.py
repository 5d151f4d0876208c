"""Families of gauges and counters that are read anew at each scrape, from a table that says what they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

PREFIX = "fedward_aggregator_"


@dataclass(frozen=True, slots=True)
class Family:
    """What a family means, by which labels its samples differ, and whether it only ever rises."""

    meaning: str
    labels: tuple[str, ...] = ()
    counts: bool = False


class Families:
    """A table's families, empty at first; `add` fills them for one scrape."""

    def __init__(self, table: Mapping[str, Family]) -> None:
        self._made: dict[str, GaugeMetricFamily | CounterMetricFamily] = {
            name: (CounterMetricFamily if family.counts else GaugeMetricFamily)(
                PREFIX + name, family.meaning, labels=family.labels
            )
            for name, family in table.items()
        }

    def add(self, name: str, value: float, *labels: str) -> None:
        """Add a sample to the family called `name`, without the prefix."""
        self._made[name].add_metric(labels, value)

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._made.values())
