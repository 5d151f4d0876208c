"""`fedward track`: a run's folder, finished or still being written, logged to an MLflow server."""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fedward_cli.local.folder import Folder, is_in_use
from fedward_cli.problems import InputError, Problem, damaged
from fedward_cli.results import RESULT, read_result
from fedward_cli.tracking.settings import NOT_INSTALLED, SETTINGS, is_installed, settle
from fedward_cli.tracking.subject import subject_of
from fedward_cli.tracking.terminable import terminable
from fedward_operator.api.tracking import MlflowTracking, Tracking
from fedward_protocol.plan import Plan


@dataclass(frozen=True, slots=True)
class Logged:
    """What is logged of a run: `address` is where people find it, if a server has it, `rounds` up to which round."""

    folder: Path
    address: str | None
    rounds: int
    is_complete: bool

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        said = {"folder": str(self.folder), "address": self.address}
        return {**said, "rounds": self.rounds, "complete": self.is_complete}


def track(out: Path, uri: str | None, experiment: str | None, say: Callable[[str], None]) -> Logged:
    """Log a run's folder until the run is over and all of it is logged, or until patience ends.

    Args:
        out: the run's folder.
        uri: the MLflow server; the one that the job names if left out.
        experiment: likewise.
        say: whom to tell how it goes.

    Raises:
        InputError: the folder is no run's, no server is named, or MLflow's client is not installed.
    """
    folder = Folder(out)
    plan = _plan(folder)
    settings = _settings(folder, uri, experiment)
    if not is_installed():
        raise InputError([Problem(str(out), (), NOT_INSTALLED)])
    settle(os.environ)
    # Training comes first wherever there are too few cores for both.
    os.nice(10)
    from fedward_cli.tracking.follow import World, follow
    from fedward_cli.tracking.logbook import Logbook
    from fedward_cli.tracking.mlflow_run import MlflowRun

    subject = subject_of(plan, settings.experiment, _started_at(folder).timestamp())
    server = f"MLflow at {settings.uri}"
    run = MlflowRun(settings.uri, subject, shares_disk=True)
    logbook = Logbook(folder, run, plan.evaluation.metric)
    world = World(lambda: is_in_use(folder), time.time, time.sleep, random.random, say)
    with _alone(folder, say), terminable() as terminated:
        try:
            is_complete = follow(logbook, server, world)
        except terminated:
            is_complete = False
    if is_complete:
        say(f"logged to {run.address}")
    else:
        say(f"{server} has everything up to round {logbook.logged} and lacks the rest")
    return Logged(out, run.address if run.is_found else None, logbook.logged, is_complete)


def _plan(folder: Folder) -> Plan:
    try:
        return folder.read_plan()
    except OSError as error:
        missing = folder.plan.relative_to(folder.out)
        raise InputError([Problem(str(folder.out), (), f"holds no {missing}; it is no run's --out folder")]) from error


def _settings(folder: Folder, uri: str | None, experiment: str | None) -> MlflowTracking:
    """Take what was asked for on the command line over what the job says."""
    path = folder.run / SETTINGS
    try:
        told = Tracking.model_validate_json(path.read_bytes()).mlflow
    except FileNotFoundError:
        told = None
    except ValidationError as error:
        raise damaged(str(path), error) from error
    if uri is None and told is None:
        raise InputError([Problem(str(folder.out), (), "its job names no MLflow server; name one: --uri https://…")])
    try:
        return MlflowTracking(
            uri=uri or (told.uri if told else ""), experiment=experiment or (told.experiment if told else None)
        )
    except ValidationError as error:
        raise InputError(
            [Problem(f"--{each['loc'][0]}", (), each["msg"].removeprefix("Value error, ")) for each in error.errors()]
        ) from error


def _started_at(folder: Folder) -> datetime:
    return read_result(folder.out).started_at if (folder.out / RESULT).exists() else datetime.now(UTC)


@contextmanager
def _alone(folder: Folder, say: Callable[[str], None]) -> Iterator[None]:
    """Wait until nobody else logs this folder, so that no point is logged twice."""
    from fedward_cli.tracking.follow import POLL_S

    handle, is_told = os.open(folder.out, os.O_RDONLY), False
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not is_told:
                    say(f"{folder.out} is being logged already; waiting for that to end")
                is_told = True
                time.sleep(POLL_S)
        yield
    finally:
        os.close(handle)
