"""A registry whose every sample says whose it is, so that metrics of many jobs and sites can lie in one Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric


class LabelledRegistry(CollectorRegistry):
    """Adds the same labels to each sample that is read from it.

    Prometheus could add them while it scrapes; then they would be right only where somebody configured that.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        """Make an empty registry.

        Args:
            labels: names and values, if any; a sample that has one of these names keeps its own value.
        """
        super().__init__()
        self.labels = dict(labels)

    def collect(self) -> Iterator[Metric]:
        """Read every metric, labelled."""
        for metric in super().collect():
            copy = Metric(metric.name, metric.documentation, metric.type, metric.unit)
            # The client's `_created` series say when the process began to count: twice the counters, for nobody.
            copy.samples = [
                sample._replace(labels={**self.labels, **sample.labels})
                for sample in metric.samples
                if sample.name != f"{metric.name}_created"
            ]
            yield copy
