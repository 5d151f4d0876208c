"""Turns the wire's messages into events' values and back; the only place that knows both."""

from __future__ import annotations

from collections.abc import Mapping

from fedward_protocol.wire import federation_pb2 as pb
from fedward_server import events
from fedward_server.rounds.instructing import Abort, Evaluate, Finish, Instruction, Stay, Train


def read_metrics(metrics: Mapping[str, pb.MeanMetric]) -> dict[str, events.Mean]:
    """Read metrics that have been checked."""
    return {name: events.Mean(sum=mean.sum, count=mean.count) for name, mean in sorted(metrics.items())}


def read_report(report: pb.UpdateReport) -> events.Report:
    """Read what a site measured."""
    return events.Report(
        metrics=read_metrics(report.metrics),
        train_loss=report.train_loss,
        fetch_seconds=report.fetch_seconds,
        evaluate_seconds=report.evaluate_seconds,
        train_seconds=report.train_seconds,
        steps=report.steps,
    )


def read_release(header: pb.UpdateHeader) -> events.Release | None:
    """Read what the gateway let out; None where there was no gateway."""
    if not header.HasField("release"):
        return None
    release = header.release
    return events.Release(
        filters=tuple(release.filters),
        epsilon=release.epsilon,
        delta=release.delta,
        spent_epsilon=release.spent_epsilon,
        meaningful=release.meaningful,
        nbytes_in=release.nbytes_in,
        filter_seconds=release.filter_seconds,
    )


def model_ref(model: events.Model) -> pb.ModelRef:
    """Write a model's round, digest and length."""
    return pb.ModelRef(round=model.round, digest=model.digest, nbytes=model.nbytes)


def metrics_map(metrics: Mapping[str, events.Mean]) -> dict[str, pb.MeanMetric]:
    """Write metrics."""
    return {name: pb.MeanMetric(sum=mean.sum, count=mean.count) for name, mean in metrics.items()}


def report_message(report: events.Report) -> pb.UpdateReport:
    """Write what a site measured."""
    return pb.UpdateReport(
        metrics=metrics_map(report.metrics),
        train_loss=report.train_loss,
        fetch_seconds=report.fetch_seconds,
        evaluate_seconds=report.evaluate_seconds,
        train_seconds=report.train_seconds,
        steps=report.steps,
    )


def release_message(release: events.Release | None) -> pb.Release | None:
    """Write what a gateway let out."""
    return None if release is None else pb.Release(**release.model_dump())


def instruction_message(instruction: Instruction) -> pb.HubMessage:
    """Write what a site is to do."""
    match instruction:
        case Train(round_number, model, evaluate):
            return pb.HubMessage(train=pb.Train(round=round_number, model=model_ref(model), evaluate=evaluate))
        case Evaluate(model):
            return pb.HubMessage(evaluate=pb.Evaluate(model=model_ref(model)))
        case Stay(why):
            return pb.HubMessage(wait=pb.Wait(why=why))
        case Finish(model):
            return pb.HubMessage(finish=pb.Finish(model=model_ref(model)))
        case Abort(reason, message):
            return pb.HubMessage(abort=pb.Refusal(reason=reason.value, message=message))
