"""Where a local run keeps what, under its --out; and the lock that keeps a second run out of it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from fedward_cli.problems import InputError, Problem, damaged
from fedward_protocol.plan import Plan


class Folder:
    """The paths under `--out`. What a reader wants lies on top; `run/` holds keys and state, for the owner alone."""

    def __init__(self, out: Path) -> None:
        self.out = out.resolve()
        self.run = self.out / "run"
        self.plan = self.run / "plan.json"
        self.attempt = self.run / "attempt.json"
        self.operator_key = self.run / "operator.pub"
        self.aggregator = self.run / "aggregator"
        self.initial = self.aggregator / "initial.safetensors"
        self.model = self.out / "model.safetensors"
        self.bundle = self.out / "bundle"

    def make(self) -> None:
        """Create the folders that the first processes write into."""
        self.run.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o700)
        for folder in (self.aggregator, self.out / "logs", self.out / "audit"):
            folder.mkdir(exist_ok=True)

    def read_plan(self) -> Plan:
        """Read the plan that the folder is of.

        Raises:
            FileNotFoundError: there is none.
            InputError: it is no plan of this version.
        """
        try:
            return Plan.parse(self.plan.read_bytes())
        except ValidationError as error:
            raise damaged(str(self.plan), error) from error

    def log(self, process: str) -> Path:
        """Return the file that a process's output is appended to."""
        return self.out / "logs" / f"{process}.log"

    def tail(self, process: str, nlines: int = 12) -> str:
        """Return the last lines of a process's log, shortened to what a screen takes."""
        try:
            with self.log(process).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
                lines = file.read().decode("utf-8", "replace").splitlines()[-nlines:]
        except OSError:
            return ""
        return "\n".join(f"    {line[:400]}" for line in lines)

    def tls(self, process: str) -> Path:
        """Return the folder of a process's certificate, key and authority."""
        return self.run / "tls" / process

    def work_order(self, site: str) -> Path:
        """Return the file of a site's signed work order."""
        return self.run / "orders" / f"{site}.json"

    def gateway(self, site: str) -> Path:
        """Return the folder of a gateway's state."""
        return self.run / "gateways" / site

    def trainer(self, site: str) -> Path:
        """Return the folder of a trainer's state."""
        return self.run / "trainers" / site

    def audit(self, site: str) -> Path:
        """Return the folder of a site's audit log."""
        return self.out / "audit" / site


@contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """Hold the folder for this process; the lock goes with the process, however it ends.

    Raises:
        InputError: another run holds it.
    """
    folder.make()
    handle = os.open(folder.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError([Problem(str(folder.out), (), "another `fedward run` is using it")]) from error
        yield
    finally:
        os.close(handle)


def is_in_use(folder: Folder) -> bool:
    """Tell whether a run holds the folder at this moment; nothing is made or kept."""
    try:
        handle = os.open(folder.run / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
