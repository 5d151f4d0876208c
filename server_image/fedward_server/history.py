"""A job's history as the hub reads it: each closed round and each site's part in it, told from the journal's events."""

from __future__ import annotations

from collections.abc import Iterator

from fedward_protocol.wire import federation_pb2 as pb
from fedward_server import events
from fedward_server.messages import metrics_map, model_ref, release_message, report_message


class Historian:
    """Takes the events in order and says what each adds to the history; what it has told it does not keep."""

    def __init__(self) -> None:
        self._opened_at = 0.0
        self._arrivals: dict[str, events.UpdateArrived] = {}
        self._closed: events.RoundClosed | None = None

    def tell(self, event: events.AnyEvent) -> Iterator[pb.Observation]:
        """Take the next event; most add nothing, a model tells the whole round that it was made of."""
        match event:
            case events.AttemptStarted(at=at):
                if self._closed is None:
                    self._opened_at, self._arrivals = at, {}
            case events.TrainingStarted(at=at):
                self._opened_at = at
            case events.UpdateArrived():
                self._arrivals[event.site] = event
            case events.RoundClosed():
                self._closed = event
            case events.ModelMade() if self._closed is not None:
                yield from self._tell_round(self._closed, event)
                self._opened_at, self._arrivals, self._closed = event.at, {}, None
            case events.SiteEvaluated():
                yield _evaluation(event)

    def _tell_round(self, closed: events.RoundClosed, made: events.ModelMade) -> Iterator[pb.Observation]:
        counted = [self._arrivals[site] for site in sorted(closed.counted)]
        for arrival in counted:
            yield _part(arrival, made.shares.get(arrival.site, 0.0))
        times = [arrival.at for arrival in counted]
        yield pb.Observation(
            round_closed=pb.RoundClosed(
                round=closed.round,
                sites=sorted(closed.counted),
                missing=closed.missing,
                opened_at=self._opened_at,
                closed_at=closed.at,
                wait_seconds=max(times) - min(times),
                aggregate_seconds=made.seconds,
                model=model_ref(made.model),
            )
        )


def round_of(observation: pb.Observation) -> int:
    """Say which round an entry of the history belongs to."""
    if observation.WhichOneof("body") == "round_closed":
        return observation.round_closed.round
    return observation.site_round.round


def _part(arrival: events.UpdateArrived, share: float) -> pb.Observation:
    return pb.Observation(
        site_round=pb.SiteRound(
            round=arrival.round,
            site=arrival.site,
            samples=arrival.samples,
            weight=share,
            report=report_message(arrival.report),
            release=release_message(arrival.release),
            nbytes=arrival.nbytes,
            received_at=arrival.at,
            submit_seconds=arrival.submit_seconds,
            evaluated_round=arrival.round - 1,
        )
    )


def _evaluation(event: events.SiteEvaluated) -> pb.Observation:
    report = pb.UpdateReport(metrics=metrics_map(event.metrics), evaluate_seconds=event.seconds)
    return pb.Observation(
        site_round=pb.SiteRound(
            round=event.round,
            site=event.site,
            report=report,
            received_at=event.at,
            evaluated_round=event.round,
        )
    )
