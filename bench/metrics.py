"""What the aggregator's metrics cost: `python -m bench.metrics`, in CPU time, so that a busy machine matters little."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import generate_latest

from fedward_protocol.plan import Data, JobIdentity, Model, Network, Plan, Rounds
from fedward_protocol.wire import federation_pb2 as pb
from fedward_server import events
from fedward_server.attendance import Attendance
from fedward_server.metrics import Metrics
from fedward_server.rounds.state import apply, begin, replay

SCRAPE_EVERY_S = 15.0
AT_MOST = 0.01
"""Of a core's time: what watching may take."""

_METRICS = ("dice", "dice_wt", "dice_tc", "dice_et", "dice_et_present", "hd95", "hd95_wt", "hd95_tc", "hd95_et")
_REPEATS = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a job of `sites` sites and `rounds` rounds: its page, and the CPU seconds that reading and counting take."""

    sites: int
    rounds: int
    series: int
    nbytes: int
    scrape_s: float
    round_s: float
    """To count all events of a round."""
    recall_s: float
    """More that a replay takes after a restart, as the whole journal is counted again."""

    @property
    def share(self) -> float:
        """Of a core's time, with a round that ends as often as it is scraped: no demo's is shorter."""
        return (self.scrape_s + self.round_s) / SCRAPE_EVERY_S


def measure(sites: int, rounds: int) -> Cost:
    """Take a job through all its rounds, and scrape it at the end."""
    job = Job(sites, rounds)
    counting = job.run()
    page = generate_latest(job.metrics.registry)
    started = time.process_time()
    for _ in range(_REPEATS):
        generate_latest(job.metrics.registry)
    scrape = (time.process_time() - started) / _REPEATS
    started = time.process_time()
    replay(job.plan, job.history)
    alone = time.process_time() - started
    started = time.process_time()
    replay(job.plan, job.history, Metrics(job.plan).take)
    recall = time.process_time() - started - alone
    series = sum(1 for line in page.splitlines() if not line.startswith(b"#"))
    return Cost(sites, rounds, series, len(page), scrape, counting / rounds, recall)


class Job:
    """A job without I/O, in which every site reports `names` of metrics."""

    def __init__(self, sites: int, rounds: int, names: Sequence[str] = _METRICS) -> None:
        self.names = names
        self.plan = Plan(
            federation="bench.example",
            job=JobIdentity(name="bench", namespace="bench", uid="0123456789"),
            sites=tuple(f"hospital-{number:02d}" for number in range(sites)),
            model=Model(network=Network()),
            data=Data(dataset="brats"),
            rounds=Rounds(count=rounds, quorum=sites, deadline_s=1800, grace_s=60),
        )
        self.state, self.metrics, self.history = begin(self.plan), Metrics(self.plan), list[events.AnyEvent]()
        self.attendance = Attendance(self.plan.sites, 0.0)
        self.metrics.watch_job(self)

    def run(self) -> float:
        """Give the seconds that counting took."""
        counting = 0.0
        for event in self._events():
            started = time.process_time()
            self.metrics.take(self.state, event)
            counting += time.process_time() - started
            self.state = apply(self.state, event)
            self.history.append(event)
        return counting

    def _events(self) -> Iterator[events.AnyEvent]:
        yield events.AttemptStarted(at=0, attempt=1, plan=bytes(32))
        yield events.ModelMade(at=0, model=_model(0), seconds=0, shares={})
        for site in self.plan.sites:
            self.attendance.attend(site, 1.0)
            vitals = pb.Vitals(cases_per_second=1.5, gpu_utilisation=0.8)
            self.attendance.of(site).progress = pb.Progress(round=1, stage="train", fraction=0.5, vitals=vitals)
            yield events.SiteJoined(
                at=1, site=site, cases=events.Cases(training=40, validation=10, skipped=0), software="bench"
            )
        yield events.TrainingStarted(at=1)
        for number in range(1, self.plan.rounds.count + 1):
            at = 60.0 * number
            yield from (_update(site, number, at, self.names) for site in self.plan.sites)
            counted = dict.fromkeys(self.plan.sites, bytes(32))
            yield events.RoundClosed(at=at, round=number, counted=counted, missing=(), why="")
            shares = dict.fromkeys(self.plan.sites, 1 / len(self.plan.sites))
            yield events.ModelMade(at=at + 1, model=_model(number), seconds=1.0, shares=shares)


def _model(number: int) -> events.Model:
    return events.Model(round=number, digest=number.to_bytes(32, "big"), nbytes=1)


def _update(site: str, number: int, at: float, names: Sequence[str]) -> events.UpdateArrived:
    return events.UpdateArrived(
        at=at,
        site=site,
        attempt=1,
        round=number,
        digest=bytes(32),
        nbytes=1,
        samples=40,
        report=events.Report(
            metrics={name: events.Mean(sum=4.2, count=10) for name in names},
            train_loss=0.5,
            fetch_seconds=1.0,
            evaluate_seconds=5.0,
            train_seconds=40.0,
            steps=80,
        ),
        release=events.Release(
            filters=("gaussianNoise",),
            epsilon=0.1,
            delta=1e-5,
            spent_epsilon=1.0,
            meaningful=True,
            nbytes_in=1,
            filter_seconds=1.0,
        ),
        submit_seconds=2.0,
    )


def main() -> int:
    """Print a line a size; the exit status is 1 when one costs more than it may."""
    is_over = False
    for sites, rounds in ((4, 30), (71, 300)):
        cost = measure(sites, rounds)
        is_over |= cost.share > AT_MOST
        print(
            f"{sites} sites x {rounds} rounds: {cost.series} series, {cost.nbytes / 1000:.0f} kB a page, "
            f"scrape {cost.scrape_s * 1000:.1f} ms, a round's events {cost.round_s * 1000:.2f} ms, "
            f"all of them after a restart {cost.recall_s * 1000:.0f} ms; "
            f"{cost.share:.3%} of a core with a scrape and a round every {SCRAPE_EVERY_S:g} s (at most {AT_MOST:.0%})"
        )
    return int(is_over)


if __name__ == "__main__":
    sys.exit(main())
