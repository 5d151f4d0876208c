"""Writes the audit log: a record is on the disk before `append` returns, or nothing may leave."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import MappingProxyType, TracebackType
from typing import NoReturn, Self

from pydantic import JsonValue

from fedward_node.gateway.audit.record import GENESIS, MAX_LINE, Record, digest_of
from fedward_node.gateway.audit.verification import Chain, files_of, lines_of
from fedward_protocol.durable import sync_directory
from fedward_protocol.reasons import Reason, RefusedError

NO_FACTS: Mapping[str, JsonValue] = MappingProxyType({})


def _now() -> datetime:
    return datetime.now(UTC)


class AuditLog:
    """A folder's audit log, one file a day by UTC; held by one process at a time, used by any of its threads."""

    def __init__(
        self,
        directory: Path,
        origin: Mapping[str, JsonValue] = NO_FACTS,
        now: Callable[[], datetime] = _now,
        write: Callable[[int, bytes], int] = os.write,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        """Open a log and check it, or begin one.

        A last line that a power loss left incomplete was never acknowledged, so nothing left because of it: it is set
        aside in a file of its own, and a record says so.

        Args:
            directory: made if there is none.
            origin: who writes: site, federation and certificate fingerprint, say. Recorded at each start.
            now: the clock.
            write: as os.write.
            sync: as os.fsync.

        Raises:
            RefusedError: AUDIT_FAILED: another process holds the log, it is not whole, or the disk fails.
        """
        self._directory, self._now, self._write, self._sync = directory, now, write, sync
        self._lock = Lock()
        self._chain = Chain()
        self._file, self._fd, self._nbytes = Path(), -1, 0
        self._is_uncertain = False
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._held = _hold(directory)
        except OSError as error:
            _refuse(error)
        try:
            torn = self._recover()
            self.append("started" if self._chain.records else GENESIS, origin)
            if torn:
                self.append("recovered", torn)
        except (OSError, ValueError) as error:
            self.close()
            _refuse(error)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def head(self) -> str:
        """The digest of the last record, to be noted outside the site."""
        return self._chain.head

    def append(self, event: str, facts: Mapping[str, JsonValue] = NO_FACTS) -> None:
        """Write one record and return once it is on the disk.

        Raises:
            RefusedError: AUDIT_FAILED: it is not; what it speaks of must not happen.
        """
        with self._lock:
            try:
                moment = self._now()
                record = Record(self._chain.records, moment, event, dict(facts), self._chain.head)
                line = record.line()
                if self._is_uncertain:
                    self._take_back()
                self._open_day(moment)
                self._store(line)
                self._chain.follow(line)
            except (OSError, ValueError, TypeError) as error:
                _refuse(error)

    def close(self) -> None:
        """Let go of the log."""
        for fd in (self._fd, self._held):
            if fd >= 0:
                os.close(fd)
        self._fd = self._held = -1

    def _open_day(self, moment: datetime) -> None:
        """Go on to the day's file; a clock that was set back stays with the later one, so that names keep the order."""
        if self._held < 0:
            raise OSError("the log is closed")
        name = f"{moment.astimezone(UTC):%Y-%m-%d}.jsonl"
        if self._fd >= 0 and name <= self._file.name:
            return
        path = self._directory / max(name, self._file.name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        if self._fd >= 0:
            os.close(self._fd)
        self._file, self._fd, self._nbytes = path, fd, os.fstat(fd).st_size
        sync_directory(self._directory)

    def _store(self, line: bytes) -> None:
        try:
            rest = line
            while rest:
                rest = rest[self._write(self._fd, rest) :]
            self._sync(self._fd)
        except BaseException:
            # What is on the disk now is unknown; the record was refused, so it must not be there.
            self._is_uncertain = True
            self._take_back()
            raise
        self._nbytes += len(line)

    def _take_back(self) -> None:
        os.ftruncate(self._fd, self._nbytes)
        self._sync(self._fd)
        self._is_uncertain = False

    def _recover(self) -> dict[str, JsonValue] | None:
        """Follow the chain to its end, and set an incomplete last line aside."""
        files = files_of(self._directory)
        for path in files:
            self._file = path
            for number, line in enumerate(lines_of(path), start=1):
                if path == files[-1] and not line.endswith(b"\n") and len(line) <= MAX_LINE:
                    return self._set_aside(path, line)
                try:
                    self._chain.follow(line)
                except ValueError as error:
                    raise ValueError(f"{path}:{number}: {error}") from error
        return None

    def _set_aside(self, path: Path, torn: bytes) -> dict[str, JsonValue]:
        """Copy first and cut then, so that a power loss in between only repeats it."""
        digest = digest_of(torn)
        aside = path.with_name(f"{path.name}.torn-{digest[:16]}")
        with aside.open("wb") as copy:
            copy.write(torn)
            copy.flush()
            self._sync(copy.fileno())
        sync_directory(self._directory)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - len(torn))
            self._sync(file.fileno())
        return {"file": path.name, "set_aside": aside.name, "nbytes": len(torn), "digest": digest}


def _hold(directory: Path) -> int:
    fd = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise RefusedError(Reason.AUDIT_FAILED, f"another process writes to {directory}") from error
    return fd


def _refuse(error: Exception) -> NoReturn:
    raise RefusedError(Reason.AUDIT_FAILED, f"{type(error).__name__}: {error}") from error
