"""Gauges that are read when they are asked for, from whoever knows their values: nothing of them is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Gauge:
    """One gauge's name, what it means, and the names of its labels."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()

    def family(self) -> GaugeMetricFamily:
        """Return it without a sample."""
        return GaugeMetricFamily(self.name, self.meaning, labels=self.labels)


Sample = tuple[Gauge, tuple[str, ...], float]
"""A gauge, the values of its labels, and its value."""

Source = Callable[[], Iterable[Sample]]
"""Asked at each scrape, from another thread than the event loop's."""


class Gauges(Collector):
    """Shows what its sources say at the moment of the scrape."""

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        """Make one without a source; `gauges` are all that any of them will speak of."""
        self._gauges, self._sources = gauges, list[Source]()

    def add(self, source: Source) -> None:
        """Ask one more source from now on."""
        self._sources.append(source)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Ask every source."""
        families = {gauge.name: gauge.family() for gauge in self._gauges}
        for source in self._sources:
            for gauge, labels, value in source():
                families[gauge.name].add_metric(labels, value)
        yield from families.values()

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield every family, without asking anybody."""
        for gauge in self._gauges:
            yield gauge.family()
