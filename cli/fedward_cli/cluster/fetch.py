"""A job that has ended becomes a folder like a local run's: its model, its bundle, its figures and its report."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import IO

from fedward_cli.cluster.ended_job import EndedJob, write_folder
from fedward_cli.cluster.kubectl import ClusterError, ForbiddenError, Kubectl, kubectl, piped, within
from fedward_cli.cluster.reader import PROGRAM, reader
from fedward_cli.cluster.whose import AtHub, AtSite, find_job
from fedward_cli.local.folder import Folder, locked
from fedward_cli.local.outcome import State
from fedward_cli.problems import InputError
from fedward_cli.problems import Problem as InputProblem
from fedward_cli.progress.of_cluster import read
from fedward_cli.results import Problem, read_closed, read_rounds
from fedward_cli.tracking.event_files import EventFiles
from fedward_cli.tracking.settings import SETTINGS
from fedward_operator.policy.conditions import find, read_time
from fedward_protocol.wire import federation_pb2 as pb
from fedward_server.export import END, HISTORY, MODEL, PLAN

Pipe = Callable[[Sequence[str]], AbstractContextManager[IO[bytes]]]
"""Runs kubectl and gives its standard output."""

_TRIES = 3
_LENGTH_BYTES = 4


def fetch(
    name: str,
    namespace: str | None,
    out: Path,
    now: Callable[[], datetime],
    run: Kubectl = kubectl,
    pipe: Pipe = piped,
) -> Path:
    """Write the folder, and return where its report is.

    Raises:
        InputError: the folder is in use, holds another job's run, or what is in it cannot be read.
        ClusterError: there is no such job at this hub, it goes on, or a right is missing.
        RefusedError: WRONG_DIGEST, the model is not the one that the aggregator announced.
    """
    found = find_job(name, namespace, run)
    if isinstance(found, AtSite):
        raise ClusterError(
            f"{name} is a hospital's part in a job: model and report are at the hub, with its researcher"
        )
    state = _ended(found)
    folder = Folder(out)
    _check(folder, found)
    with locked(folder):
        with reader(found, run, now()) as pod:
            _receive(folder, found, pod, pipe)
        return _write(folder, found, state)


def _ended(found: AtHub) -> State:
    progress = read(found.job)
    if progress.outcome is not None:
        return progress.outcome
    if progress.state == "Suspended":
        return "Stopped"
    advice = f"fedward watch {found.name} shows how it goes; its model is handed out when it has ended or is suspended"
    raise ClusterError(f"{found.name} goes on ({progress.state}, round {progress.round}/{progress.rounds}): {advice}")


def _check(folder: Folder, found: AtHub) -> None:
    """Refuse to write over a run of another plan."""
    if folder.plan.exists() and folder.read_plan().job.uid != found.job["metadata"]["uid"]:
        raise InputError([InputProblem(str(folder.out), (), "holds the run of another job; choose another --out")])


def _receive(folder: Folder, found: AtHub, pod: str, pipe: Pipe) -> None:
    """Take in the stream; a connection that breaks off is tried again from the start."""
    command = ["exec", pod, *within(found.namespace), "-c", "reader", "--", *PROGRAM]
    for tries in range(1, _TRIES + 1):
        try:
            with pipe(command) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
                _unpack(tar, folder)
            return
        except ForbiddenError:
            raise
        except (tarfile.TarError, EOFError, ClusterError) as error:
            if tries == _TRIES:
                raise ClusterError(f"the stream from the pod {pod} broke off {_TRIES} times: {error}") from error


def _unpack(tar: tarfile.TarFile, folder: Folder) -> None:
    # By name and one by one: what comes from a volume decides no path here.
    places = {PLAN: folder.plan, HISTORY: folder.run / HISTORY, MODEL: folder.run / MODEL}
    places[MODEL].unlink(missing_ok=True)
    came = set()
    for member in tar:
        came.add(member.name)
        content = tar.extractfile(member)
        if member.name in places and content is not None:
            with places[member.name].open("wb") as file:
                while piece := content.read(1 << 20):
                    file.write(piece)
    if END not in came:
        raise EOFError("it was cut off between two files")


def _write(folder: Folder, found: AtHub, state: State) -> Path:
    history, model = folder.run / HISTORY, folder.run / MODEL
    told = observations(history.read_bytes())
    report = write_folder(folder, _ended_job(found, state), told, model if model.exists() else None)
    for received in (history, model):
        received.unlink(missing_ok=True)
    EventFiles(folder.out, folder.read_plan().evaluation.metric).begin(
        read_rounds(folder.out), read_closed(folder.out), is_over=state == "Completed"
    )
    if tracking := found.job["spec"].get("tracking"):
        (folder.run / SETTINGS).write_text(json.dumps(tracking))
    return report


def _ended_job(found: AtHub, state: State) -> EndedJob:
    status = found.job.get("status") or {}
    condition = find(status.get("conditions") or (), "Failed") or {}
    return EndedJob(
        state=state,
        attempt=status.get("attempt", 1) or 1,
        started_at=read_time(status.get("startTime")) or read_time(found.job["metadata"]["creationTimestamp"]),
        finished_at=read_time(status.get("completionTime")),
        failure=Problem(reason=condition.get("reason", "Unknown"), detail=condition.get("message", "")),
    )


def observations(content: bytes) -> Iterator[pb.Observation]:
    """Read observations, each behind its length.

    Raises:
        ClusterError: the file is cut off.
    """
    place = 0
    while place < len(content):
        begins = place + _LENGTH_BYTES
        ends = begins + int.from_bytes(content[place:begins], "big")
        if ends > len(content):
            raise ClusterError("the history of the job is cut off; try again")
        yield pb.Observation.FromString(content[begins:ends])
        place = ends
