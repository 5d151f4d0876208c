"""What is left of a job that has ended, as one tar stream: its plan, its history, its best model; no site's update.

Runs in a pod that mounts the job's volume read-only, as `python3.11 -m fedward_server.export`.
"""

from __future__ import annotations

import argparse
import io
import shutil
import signal
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fedward_protocol.plan import Plan
from fedward_protocol.wire import federation_pb2 as pb
from fedward_server.attendance import Attendance
from fedward_server.history import Historian
from fedward_server.journal import JournalError, read_events
from fedward_server.rounds.state import JobState, replay
from fedward_server.status import job_status

PLAN, HISTORY, MODEL, END = "plan.json", "history.bin", "model.safetensors", "end"
"""Members of the stream. The history is observations as the hub gets them, the status first, each behind its length;
the last one is empty, and says that nothing was cut off."""

_LENGTH_BYTES = 4
_ENDS = frozenset({signal.SIGTERM, signal.SIGINT})


def export(state: Path, plan_file: Path, out: IO[bytes]) -> None:
    """Write what is left of a job.

    Args:
        state: folder of the journal and the models; nothing is written there.
        plan_file: the job's plan.
        out: takes the tar stream.

    Raises:
        FileNotFoundError: there is no journal, so nothing was ever begun.
        JournalError: it was written by a newer version.
    """
    plan = Plan.parse(plan_file.read_bytes())
    with reading(state, plan) as left, tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, PLAN, plan.canonical())
        _add(tar, HISTORY, b"".join(_framed(each) for each in left.history))
        if left.model is not None:
            tar.add(left.model, arcname=MODEL)
        _add(tar, END, b"")


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a job.

    Attributes:
        history: observations as the hub gets them, the status first; read as they are asked for.
        model: the file of the best model, of the last one where none was evaluated; None where there is no model.
    """

    history: Iterable[pb.Observation]
    model: Path | None


@contextmanager
def reading(state: Path, plan: Plan) -> Iterator[Left]:
    """Give what the folder of journal and models has, while the block lasts; nothing is written there.

    Raises:
        FileNotFoundError: there is no journal, so nothing was ever begun.
        JournalError: it was written by a newer version, or is damaged.
    """
    with tempfile.TemporaryDirectory() as scratch:
        journal = _copied(state, Path(scratch))
        job = replay(plan, read_events(journal))
        delivered = job.best or job.latest
        model = state / "models" / f"{delivered.round:05d}.safetensors" if delivered else None
        yield Left(_history(job, journal), model)


def _history(job: JobState, journal: Path) -> Iterator[pb.Observation]:
    status = job_status(job, Attendance(job.plan.sites, job.last_event_at), job.last_event_at)
    yield pb.Observation(status=status)
    historian = Historian()
    for event in read_events(journal):
        yield from historian.tell(event)


def _copied(state: Path, scratch: Path) -> Path:
    """Copy the journal: SQLite writes beside one even to read it, and a killed one's last events are in its log."""
    shutil.copyfile(state / "journal.db", scratch / "journal.db")
    if (state / "journal.db-wal").exists():
        shutil.copyfile(state / "journal.db-wal", scratch / "journal.db-wal")
    return scratch / "journal.db"


def _framed(observation: pb.Observation) -> bytes:
    content = observation.SerializeToString()
    return len(content).to_bytes(_LENGTH_BYTES, "big") + content


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the stream to standard output, or hold the pod open for that; return the exit code."""
    parser = argparse.ArgumentParser(prog="fedward_server.export", description=__doc__)
    parser.add_argument("--hold", action="store_true", help="only wait until the pod is deleted")
    parser.add_argument("--state", type=Path, default=Path("/state"), help="folder of the journal and the models")
    parser.add_argument("--plan", type=Path, default=Path("/plan/plan.json"), help="the job's plan, JSON")
    chosen = parser.parse_args(arguments)
    if chosen.hold:
        # As process 1 it would not get a signal that nobody is there for.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        signal.sigwait(_ENDS)
        return 0
    try:
        export(chosen.state, chosen.plan, sys.stdout.buffer)
    except (FileNotFoundError, JournalError) as error:
        print(f"the job's volume cannot be read: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
