"""What the operator asks of a tracker: three sub-commands, with JSON for what has parts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from fedward_cli.cluster.ended_job import EndedJob
from fedward_cli.results import Problem
from fedward_operator.api.tracking import MlflowTracking, Tracking
from fedward_protocol import scraping
from fedward_protocol.scraping import Secured

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Follow:
    """To log rounds as they close.

    Attributes:
        plan: the job's plan, a file.
        attempt: the attempt that is observed.
        mlflow: the server, and the experiment.
        metrics: host:port of probes and metrics.
        secured: where metrics are by mutual TLS instead.
        credentials: folder where the Secret is mounted that the job names.
        aggregator: host:port.
        tls: folder of the observer's certificate, its key and the authority.
    """

    plan: Path
    attempt: int
    mlflow: MlflowTracking
    metrics: str
    secured: Secured | None
    credentials: Path
    aggregator: str
    tls: Path


@dataclass(frozen=True, slots=True)
class Finish:
    """To log all that a job has left; `state` is the folder of the aggregator's journal and models."""

    plan: Path
    attempt: int
    mlflow: MlflowTracking
    metrics: str
    secured: Secured | None
    credentials: Path
    state: Path
    ended: EndedJob


@dataclass(frozen=True, slots=True)
class Collect:
    """To copy what `finish` needs of `state` into the folder `out`, which is its `state` then."""

    plan: Path
    state: Path
    out: Path


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class _Failure(_Part):
    reason: str
    message: str = ""


class _Ended(_Part):
    state: Literal["Completed", "Failed"]
    attempt: Annotated[int, Field(ge=0)]
    start_time: AwareDatetime | None = None
    completion_time: AwareDatetime | None = None
    failure: _Failure | None = None


def read(arguments: Sequence[str] | None) -> Follow | Finish | Collect:
    """Read the command line.

    Raises:
        SystemExit: it is none of a tracker's; what is wrong is on stderr.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command == "collect":
        return Collect(chosen.plan, chosen.state, chosen.out)
    mlflow: MlflowTracking = chosen.tracking.mlflow
    try:
        shown = chosen.metrics, scraping.read_arguments(chosen)
    except scraping.UnusableError as error:
        parser.error(str(error))
    if chosen.command == "follow":
        return Follow(chosen.plan, chosen.attempt, mlflow, *shown, chosen.credentials, chosen.aggregator, chosen.tls)
    ended = _ended_job(chosen.ended)
    return Finish(chosen.plan, ended.attempt, mlflow, *shown, chosen.credentials, chosen.state, ended)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fedward-tracker", description="Logs a job of a hub's cluster to MLflow.")
    about = argparse.ArgumentParser(add_help=False)
    about.add_argument("--plan", type=Path, required=True, help="the job's plan, JSON")
    of_ended = argparse.ArgumentParser(add_help=False)
    of_ended.add_argument("--state", type=Path, required=True, help="folder of the journal and the models, only read")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--tracking", type=_json_of(Tracking), required=True, metavar="JSON", help="the job's spec.tracking"
    )
    shared.add_argument("--metrics", required=True, metavar="HOST:PORT", help="where probes and Prometheus connect")
    shared.add_argument(
        "--credentials", type=Path, default=Path("/mlflow"), help="folder of the Secret that the job names"
    )
    scraping.add_arguments(shared)
    commands = parser.add_subparsers(dest="command", required=True)

    follow = commands.add_parser("follow", parents=[about, shared], help="log rounds as they close, to the last word")
    follow.add_argument("--attempt", type=int, required=True, help="the attempt to observe")
    follow.add_argument("--aggregator", required=True, metavar="HOST:PORT", help="where the aggregator serves")
    follow.add_argument("--tls", type=Path, required=True, help="folder of tls.crt, tls.key and ca.crt")

    collect = commands.add_parser("collect", parents=[about, of_ended], help="copy what finish needs, no site's update")
    collect.add_argument("--out", type=Path, required=True, help="folder that takes it")

    finish = commands.add_parser("finish", parents=[about, shared, of_ended], help="log all that an ended job has left")
    finish.add_argument(
        "--ended",
        type=_json_of(_Ended),
        required=True,
        metavar="JSON",
        help="how it ended: state, attempt, startTime, completionTime, failure",
    )
    return parser


def _json_of(kind: type[_Model]) -> Callable[[str], _Model]:
    def parsed(text: str) -> _Model:
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            # Without the value: an address may hold a password.
            faults = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise argparse.ArgumentTypeError("; ".join(faults)) from error

    return parsed


def _ended_job(said: _Ended) -> EndedJob:
    failure = said.failure or _Failure(reason="Unknown")
    return EndedJob(
        state=said.state,
        # A job that failed before it began had none; what is logged of it is of the first.
        attempt=max(1, said.attempt),
        started_at=said.start_time,
        finished_at=said.completion_time,
        failure=Problem(reason=failure.reason, detail=failure.message),
    )
