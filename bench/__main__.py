"""Measures what docs/benchmarks.md promises and prints the table: `python -m bench`, on a machine that is idle."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from bench import floor, local_job, metrics, metrics_operator
from bench.federation import Setting, run
from fedward_protocol.plan import Filter, GaussianNoise, NormClip

MB = 1_000_000
FILTERS: tuple[Filter, ...] = (
    NormClip(name="normClip", max_norm=10.0),
    GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=0.5),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, what it may be at most, and how it stands to the same bytes over a bare gRPC stream, if it does."""

    measure: str
    value: float
    at_most: float
    unit: str
    ratio: float | None = None

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.1f} x floor"
        verdict = "" if self.value <= self.at_most else "over"
        return f"{self.measure:<58} {self.value:>8.3g} {self.unit:<5} {self.at_most:>6.3g} {ratio:>14} {verdict}"


def main() -> int:
    """Print each row when it is known; the exit status is 1 when a figure is over its limit."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'measure':<58} {'':>8} {'':<5} {'<=':>6} {'ratio':>14}", flush=True)
    is_over = False
    for row in _rows():
        print(row, flush=True)
        is_over |= row.value > row.at_most
    return int(is_over)


def _rows() -> Iterator[Row]:
    yield from _small()
    yield from _large(2, gateways=True, at_most=1.5)
    yield from _large(8, gateways=False, at_most=3)
    yield from _large(8, gateways=True, at_most=5)
    crowd = run(Setting(sites=32, nbytes=100 * MB, rounds=2))
    yield Row("aggregator, anonymous memory, 32 sites x 100 MB", crowd.aggregator_nbytes / MB, 256, "MB")
    filtered = run(Setting(sites=2, nbytes=100 * MB, rounds=2, gateways=True, filters=FILTERS))
    yield Row("gateway, anonymous memory, 100 MB, clip and noise", filtered.gateway_nbytes / MB, 256, "MB")
    job = local_job.measure()
    yield Row("local job that trains nothing, beyond its imports", job.seconds - job.import_seconds, 3, "s")
    watching = metrics.measure(sites=71, rounds=300).share
    yield Row("aggregator's metrics at 71 sites, of a core", watching * 100, metrics.AT_MOST * 100, "%")
    yield from _scrape()


def _small() -> Iterator[Row]:
    bare = floor.measure(2, MB)
    measured = run(Setting(sites=2, nbytes=MB, rounds=12))
    ratio = measured.round_seconds / bare.seconds
    yield Row("round, 2 sites x 1 MB, direct", measured.round_seconds * 1000, 50, "ms", ratio)


def _scrape() -> Iterator[Row]:
    scale, cost = metrics_operator.PROMISED, metrics_operator.measure(metrics_operator.PROMISED)
    what = f"hub operator's scrape, {scale.jobs} jobs x {scale.sites} sites"
    yield Row(f"{what}, CPU", cost.seconds * 1000, metrics_operator.AT_MOST_S * 1000, "ms", cost.ratio)
    yield Row(f"{what}, page", cost.nbytes / MB, metrics_operator.AT_MOST_NBYTES / MB, "MB")


def _large(sites: int, *, gateways: bool, at_most: float) -> Iterator[Row]:
    bare = floor.measure(sites, 100 * MB)
    measured = run(Setting(sites, 100 * MB, rounds=5, gateways=gateways))
    what = f"{sites} sites x 100 MB, {'through gateways' if gateways else 'direct'}"
    ratio = measured.round_seconds / bare.seconds
    yield Row(f"round, {what}", measured.round_seconds, at_most, "s", ratio)
    # A model to each site and an update back; through a gateway each byte crosses two connections.
    gigabytes = 2 * sites * 0.1 * (2 if gateways else 1)
    ratio = measured.cpu_seconds / (bare.cpu_seconds * (2 if gateways else 1))
    yield Row(f"CPU seconds for a GB over a connection, {what}", measured.cpu_seconds / gigabytes, 3, "s", ratio)
    yield Row(f"aggregator, anonymous memory, {what}", measured.aggregator_nbytes / MB, 256, "MB")


if __name__ == "__main__":
    sys.exit(main())
