"""`finish`: logs all that an ended job has left, as collected: rounds, how it ended, its model, its report."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime

from fedward_cli.cluster.ended_job import write_folder
from fedward_cli.local.folder import Folder
from fedward_cli.tracking.at_hub.arguments import Finish
from fedward_cli.tracking.at_hub.credentials import Identified
from fedward_cli.tracking.at_hub.exits import DONE, GAVE_UP, STOPPED
from fedward_cli.tracking.at_hub.folder import fresh_folder
from fedward_cli.tracking.at_hub.metrics import Metrics
from fedward_cli.tracking.at_hub.told import Told
from fedward_cli.tracking.follow import LONGEST_RETRY_S, Patience, follow
from fedward_cli.tracking.logbook import Logbook
from fedward_cli.tracking.mlflow_run import MlflowRun
from fedward_cli.tracking.subject import subject_of
from fedward_cli.tracking.terminable import terminable
from fedward_operator.api.tracking import PATIENCE
from fedward_protocol import probes
from fedward_protocol.last_word import leave_word
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import RefusedError
from fedward_server.export import Left, reading
from fedward_server.journal import JournalError

_PATIENCE = Patience(total_s=PATIENCE.total_seconds(), longest_retry_s=LONGEST_RETRY_S)

_log = logging.getLogger(__name__)


class UnreadableError(Exception):
    """What the job left cannot be read, and will be no other at the next try."""


def finish_job(asked: Finish, plan: Plan) -> int:
    """Log everything, or as much as there is patience for; return the exit code.

    Raises:
        OSError: the folder cannot be made, or the volume cannot be read.
        ListenError: the port is taken.
    """
    ended, server, metrics = asked.ended, f"MLflow at {asked.mlflow.uri}", Metrics(plan)
    started_at = ended.started_at or ended.finished_at or datetime.now(UTC)
    subject = subject_of(plan, asked.mlflow.experiment, started_at.timestamp())
    run = MlflowRun(asked.mlflow.uri, subject, shares_disk=False)
    with terminable() as terminated:
        try:
            folder = fresh_folder(plan)
            logbook = Logbook(folder, run, plan.evaluation.metric)
            told = Told(Identified(logbook, asked.credentials, os.environ), server, metrics)
            with probes.serve(asked.metrics, metrics.registry, lambda: told.trouble, secured=asked.secured):
                fill(folder, asked, plan)
                is_complete = follow(told, server, told.world(lambda: False), _PATIENCE)
        except terminated:
            return STOPPED
        except UnreadableError as error:
            _log.critical("%s", error)
            leave_word(str(error))
            return GAVE_UP
    if is_complete:
        word = f"logged to {run.address}"
    else:
        word = f"{told.trouble}, for {_PATIENCE}; it has everything up to round {told.logged} and lacks the rest"
    _log.log(logging.INFO if is_complete else logging.ERROR, "%s", word)
    leave_word(word)
    return DONE if is_complete else GAVE_UP


def fill(folder: Folder, asked: Finish, plan: Plan) -> None:
    """Make the folder of the job from what it left.

    Raises:
        UnreadableError: a newer version wrote it, or something of it is missing.
        OSError: it cannot be read or written now.
    """
    try:
        with reading(asked.state, plan) as left:
            _write(folder, asked, left)
    except JournalError as error:
        raise UnreadableError(f"the job's journal cannot be read: {error}") from error
    except FileNotFoundError as error:
        if asked.ended.state == "Completed":
            raise UnreadableError("its volume holds no journal of the job that completed") from error
        # It failed before it began: that and why is all there is.
        _write(folder, asked, Left((), None))


def _write(folder: Folder, asked: Finish, left: Left) -> None:
    try:
        write_folder(folder, asked.ended, left.history, left.model)
    except (FileNotFoundError, RefusedError) as error:
        raise UnreadableError(f"the job's model cannot be read: {error}") from error
