"""What an aggregator says of its job, as the operator needs it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from fedward_protocol.reasons import Reason
from fedward_protocol.wire import federation_pb2 as pb


@dataclass(frozen=True, slots=True)
class SiteProgress:
    """One site, seen from the aggregator; `metrics` are means over the site's cases."""

    state: str
    round: int
    reason: str
    samples: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Progress:
    """A job, seen from its aggregator; `metrics` are means over the cases of all sites."""

    state: str
    round: int
    attempt: int
    quorum_met: bool
    sites: Mapping[str, SiteProgress] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: tuple[str, str] | None = None


def read_progress(status: pb.JobStatus) -> Progress:
    """Read the aggregator's message."""
    sums: dict[str, tuple[float, int]] = {}
    sites = {}
    for site in status.sites:
        for name, mean in site.metrics.items():
            total, count = sums.get(name, (0.0, 0))
            sums[name] = total + mean.sum, count + mean.count
        metrics = _means({name: (mean.sum, mean.count) for name, mean in site.metrics.items()})
        sites[site.name] = SiteProgress(site.state, site.round, site.reason, site.training_cases, metrics)
    failed = status.HasField("failure")
    return Progress(
        state=status.state,
        round=status.round,
        attempt=status.attempt,
        quorum_met=status.quorum_met,
        sites=sites,
        metrics=_means(sums),
        failure=(status.failure.reason, status.failure.message) if failed else None,
    )


def dismissed(progress: Progress | None) -> frozenset[str]:
    """Name the sites that the aggregator has dismissed, as far as it has been heard."""
    sites = progress.sites if progress is not None else {}
    return frozenset(name for name, site in sites.items() if site.reason == Reason.SITE_REVOKED)


def _means(sums: Mapping[str, tuple[float, int]]) -> dict[str, float]:
    means = {name: total / count for name, (total, count) in sums.items() if count}
    # Finite sums of many sites can still add up to infinity, which no status can hold.
    return {name: round(mean, 6) for name, mean in means.items() if math.isfinite(mean)}
