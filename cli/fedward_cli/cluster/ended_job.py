"""A job of a cluster that has ended becomes a folder like a local run's: its figures, its model, its report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fedward_cli.local.attempt import Attempt
from fedward_cli.local.delivery import deliver
from fedward_cli.local.folder import Folder
from fedward_cli.local.history import History
from fedward_cli.local.outcome import Ending, State, result_of
from fedward_cli.report import write_report
from fedward_cli.results import METRICS, RESULT, ROUNDS, Problem, Result, write_record
from fedward_protocol.wire import federation_pb2 as pb


@dataclass(frozen=True, slots=True)
class EndedJob:
    """What the resource of a job says of how it ended.

    Attributes:
        attempt: the last one.
        started_at, finished_at: None where it says nothing of it.
        failure: why it failed, where the job's own history does not say so.
    """

    state: State
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    failure: Problem


def write_folder(folder: Folder, job: EndedJob, history: Iterable[pb.Observation], model: Path | None) -> Path:
    """Fill a folder that has the job's plan, and return where its report is.

    Args:
        folder: records that it has are written anew.
        job: how the job ended.
        history: all that was observed of it, the status first.
        model: the file of the model that it delivered, which is copied.

    Raises:
        InputError: the folder's plan is none of this version.
        RefusedError: WRONG_DIGEST, the model is not the one that the aggregator announced.
        OSError: something cannot be read or written.
    """
    folder.attempt.write_text(json.dumps({"attempt": job.attempt}))
    # A report is made of all that is known, whatever was here before.
    for name in (METRICS, ROUNDS):
        (folder.out / name).unlink(missing_ok=True)
    result = _result(folder, job, history, model)
    write_record(folder.out / RESULT, result.model_copy(update={"fetched": True}))
    return write_report(folder.out)


def _result(folder: Folder, job: EndedJob, history: Iterable[pb.Observation], model: Path | None) -> Result:
    """Write the records and the model, and sum up; nothing of the history stays in memory for the report's time."""
    plan, told = folder.read_plan(), History(folder.out)
    for observation in history:
        told.take(observation)
    parameters = deliver(folder, plan, told.status, model) if model is not None else 0
    ending = Ending(job.state, job.finished_at, _failure(job, told.status), (), parameters)
    begun = job.started_at or job.finished_at or datetime.now(UTC)
    return result_of(Attempt(plan, job.attempt), told, begun, ending)


def _failure(job: EndedJob, said: pb.JobStatus) -> Problem | None:
    if job.state != "Failed":
        return None
    if said.HasField("failure"):
        return Problem(reason=said.failure.reason, detail=said.failure.message, round=said.round)
    return job.failure
