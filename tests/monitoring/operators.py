"""What the operators of a hub and of a hospital would show of the federation that the other processes are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Self

from tests.monitoring.federation import JOB, SITES

from fedward_operator.metrics import Metrics, hub, site
from fedward_operator.metrics.gauge import Gauge, Sample
from fedward_protocol import probes

_GAUGES: Mapping[str, Gauge] = {
    gauge.name.removeprefix("fedward_operator_"): gauge for gauge in (*hub.GAUGES, *site.GAUGES)
}
_DAY = 86400


class Operators:
    """The hub's and every hospital's metrics with made-up numbers, by the product's own probes; a context manager."""

    def __init__(self) -> None:
        now = time.time()
        self.is_heard = dict.fromkeys(SITES, True)
        self.queue_ages_s = {"hub": 0.2, "site": 0.1}
        self.job_state, self.attempt, self.failures = "Training", 1, 0
        self.round, self.rounds, self.score = 7, 30, 0.8
        self.is_tracked = True
        self.hub_is_reached = self.policy_holds = self.leads = True
        self.authority_ends, self.membership_ends = now + 3000 * _DAY, now + 25 * _DAY
        self._created = now
        self._stack = ExitStack()
        self.addresses = {
            "operator-hub": self._serve(self._made("hub", self._hub)),
            **{f"operator-{name}": self._serve(self._made("site", self._site, name)) for name in SITES},
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Serve no more."""
        self._stack.close()

    def _serve(self, metrics: Metrics) -> str:
        served = self._stack.enter_context(probes.serve("127.0.0.1:0", metrics.registry, ready=lambda: None))
        return f"127.0.0.1:{served.port}"

    def _made(self, role: str, samples, site: str | None = None) -> Metrics:
        metrics = Metrics(role, site)
        calls = metrics.meter(role)

        def work() -> Iterator[Sample]:
            """Be as busy as one is scraped."""
            metrics.reconciled("FederatedJob", "done", 0.01)
            calls.called("PATCH", 200)
            return samples()

        metrics.watch_queues(lambda: [("FederatedJob", 0, self.queue_ages_s[role])])
        metrics.watch_caches(lambda: [("federatedjobs", 1), ("federatedsites", len(SITES))])
        metrics.watch_process(lambda: self.leads or role == "site", lambda: True)
        metrics.show(work)
        return metrics

    def _hub(self) -> Iterator[Sample]:
        job = tuple(JOB.values())
        yield from _samples(
            job_state=[((*job, self.job_state), 1)],
            job_round=[(job, self.round)],
            job_rounds=[(job, self.rounds)],
            job_created_timestamp_seconds=[(job, self._created)],
            job_attempt=[(job, self.attempt)],
            job_aggregator_failures=[(job, self.failures)],
            job_condition=[((*job, "Running", self.job_state), 1)],
            job_tracked=[(job, self.is_tracked)],
            job_sites_wanted=[(job, len(SITES))],
            job_sites_ready=[(job, len(SITES))],
            job_score=[((*job, "dice"), self.score)],
            job_site_state=[((*job, name, "Training"), 1) for name in SITES],
            job_site_round=[((*job, name), self.round) for name in SITES],
            site_connected=[((name,), heard) for name, heard in self.is_heard.items()],
            site_last_seen_timestamp_seconds=[((name,), time.time()) for name in SITES],
            site_gpus=[((name,), 1) for name in SITES],
            site_revoked=[((name,), 0) for name in SITES],
            authority_not_after_timestamp_seconds=[((), self.authority_ends)],
        )

    def _site(self) -> Iterator[Sample]:
        yield from _samples(
            site_job_state=[((*JOB.values(), "Training"), 1)],
            hub_connected=[((), self.hub_is_reached)],
            membership_not_after_timestamp_seconds=[((), self.membership_ends)],
            policy_ready=[((), self.policy_holds)],
            dataset_cases=[(("brats",), 77)],
            gpus_allowed=[((), 2)],
            gpus_used=[((), 1)],
        )


def _samples(**values: Sequence[tuple[tuple[str, ...], float]]) -> Iterator[Sample]:
    for name, samples in values.items():
        yield from ((_GAUGES[name], labels, value) for labels, value in samples)
