"""What has been observed of a job: the latest status, and one record for each round and site, written down once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fedward_cli.local.observe import FINAL
from fedward_cli.results import (
    LARGEST,
    LONGEST_S,
    METRICS,
    ROUNDS,
    ClosedRound,
    Mean,
    Release,
    RoundRecord,
    Seconds,
    read_closed,
    read_rounds,
)
from fedward_protocol.wire import federation_pb2 as pb

_Key = tuple[int, str, int]
"""Round, site, and the round of the model that the metrics describe: the last model's evaluation is a record too."""


class History:
    """Gathers observations, however often and in whatever order; keeps `metrics.jsonl` and `rounds.jsonl`."""

    def __init__(self, out: Path) -> None:
        self._path, self._rounds_path = out / METRICS, out / ROUNDS
        self.records = list(read_rounds(out))
        self._written: set[_Key] = {(each.round, each.site, each.evaluated_round) for each in self.records}
        rounds = read_closed(out)
        self._rounds_written = {each.round for each in rounds}
        # A last line that a crash cut short goes away, before anything is written after it.
        self._path.write_text("".join(_line(record) for record in self.records), encoding="utf-8")
        self._rounds_path.write_text("".join(map(_line, rounds)), encoding="utf-8")
        self._pending: dict[_Key, pb.SiteRound] = {}
        self.closed: dict[int, pb.RoundClosed] = {}
        self.status = pb.JobStatus()

    @property
    def is_over(self) -> bool:
        """Whether the job's last word has been heard; sites then leave, which is no news."""
        return self.status.state in FINAL

    def take(self, observation: pb.Observation) -> list[pb.RoundClosed]:
        """Take in an observation; return the rounds whose closing is news."""
        match observation.WhichOneof("body"):
            case "status" if self.is_over and observation.status.state == self.status.state:
                # What changes after the end is only that sites and aggregator take their leave.
                pass
            case "status":
                self.status = observation.status
            case "site_round":
                told = observation.site_round
                self._pending[told.round, told.site, told.evaluated_round] = told
            case "round_closed":
                told_before = observation.round_closed.round in self.closed
                self.closed[observation.round_closed.round] = observation.round_closed
                self._write_complete()
                self._write_closed(observation.round_closed)
                return [] if told_before else [observation.round_closed]
        self._write_complete()
        return []

    def _write_complete(self) -> None:
        """Write down what is pending and complete: an update's waiting time is known once its round has closed."""
        ready = [key for key, told in sorted(self._pending.items()) if told.round in self.closed or told.samples == 0]
        with self._path.open("a", encoding="utf-8") as file:
            for key in ready:
                told = self._pending.pop(key)
                if key in self._written:
                    continue
                self._written.add(key)
                record = record_of(told, self.closed.get(told.round), self.status)
                self.records.append(record)
                file.write(_line(record))

    def _write_closed(self, closed: pb.RoundClosed) -> None:
        """Write a closed round down after its sites' parts, so that who reads its line finds those complete."""
        if closed.round in self._rounds_written:
            return
        self._rounds_written.add(closed.round)
        with self._rounds_path.open("a", encoding="utf-8") as file:
            file.write(_line(closed_round(closed)))


def closed_round(closed: pb.RoundClosed) -> ClosedRound:
    """Turn a round's closing into its record."""
    return ClosedRound(
        round=closed.round,
        sites=tuple(closed.sites),
        missing=tuple(closed.missing),
        opened_at=closed.opened_at,
        closed_at=closed.closed_at,
        wait_seconds=closed.wait_seconds,
        aggregate_seconds=closed.aggregate_seconds,
    )


def record_of(told: pb.SiteRound, closed: pb.RoundClosed | None, status: pb.JobStatus) -> RoundRecord:
    """Turn one site's part in a round into its record; a number of the site's that is none is left out."""
    report, release = told.report, told.release
    waited = max(0.0, closed.closed_at - told.received_at) if closed and told.samples and told.received_at else 0.0
    return RoundRecord(
        attempt=status.attempt or 1,
        round=told.round,
        site=told.site,
        samples=told.samples,
        weight=told.weight,
        metrics=means(report.metrics),
        evaluated_round=told.evaluated_round,
        train_loss=report.train_loss if told.samples and abs(report.train_loss) <= LARGEST else None,
        steps=report.steps,
        nbytes_up=told.nbytes,
        # Every model of a job has the same size, and a site fetches one a round.
        nbytes_down=status.latest.nbytes,
        seconds=Seconds(
            fetch=_within(report.fetch_seconds, LONGEST_S),
            evaluate=_within(report.evaluate_seconds, LONGEST_S),
            train=_within(report.train_seconds, LONGEST_S),
            filter=_within(release.filter_seconds, LONGEST_S),
            submit=told.submit_seconds,
            wait=waited,
        ),
        release=Release(
            filters=tuple(release.filters),
            epsilon=_within(release.epsilon, LARGEST),
            delta=_within(release.delta, LARGEST),
            spent_epsilon=_within(release.spent_epsilon, LARGEST),
            meaningful=release.meaningful,
            nbytes_in=release.nbytes_in,
        )
        if told.samples
        else None,
        received_at=told.received_at or None,
    )


def means(metrics: Mapping[str, pb.MeanMetric]) -> dict[str, Mean]:
    """Turn the wire's metrics into records; a sum that could not be averaged with others is left out."""
    return {
        name: Mean(sum=mean.sum, count=mean.count) for name, mean in sorted(metrics.items()) if abs(mean.sum) <= LARGEST
    }


def _within(said: float, most: float) -> float:
    return said if 0 <= said <= most else 0.0


def _line(record: RoundRecord | ClosedRound) -> str:
    return record.model_dump_json(by_alias=True) + "\n"
