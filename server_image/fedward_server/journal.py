"""What has happened to the job, durable before anybody is told: an append-only SQLite table of events."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

from pydantic import ValidationError

from fedward_protocol.reasons import Reason, RefusedError
from fedward_server import events

P = ParamSpec("P")
T = TypeVar("T")

SCHEMA_VERSION = 1
LOCK_WAIT_S = 20.0
"""How long a new process waits for the one before it to let go of the journal."""


class JournalError(Exception):
    """The journal cannot be used: another process holds it, a newer version has written it, or it is damaged."""


class Journal:
    """The events in order; one connection on one thread of its own.

    The thread is there because a commit waits for the disk, and the disk may be busy with an update of 100 MB: the
    event loop must go on answering heartbeats meanwhile. A commit is one fsync of the write-ahead log
    (`synchronous=FULL`). The connection keeps SQLite's exclusive lock, so two aggregators never write one journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> list[events.AnyEvent]:
        """Open or create the journal and read all of its events.

        Raises:
            JournalError: it is held by another process, was written by a newer version, or is damaged.
        """
        return await self._run(self._open)

    async def append(self, *happened: events.AnyEvent) -> None:
        """Write events in one transaction; they are durable when this returns.

        Raises:
            RefusedError: STORAGE_FULL, and none of them was written.
        """
        await self._run(self._append, *happened)

    async def read(self, after: int = 0) -> tuple[int, list[events.AnyEvent]]:
        """Read the events after the `after`-th one, and give the number of the last one read."""
        return await self._run(self._read, after)

    async def close(self) -> None:
        """Close the connection; SQLite folds the write-ahead log into the database."""
        await self._run(self._close)
        self._thread.shutdown()

    async def __aenter__(self) -> Journal:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *arguments, **named))

    def _open(self) -> list[events.AnyEvent]:
        self._connection = connection = sqlite3.connect(self._path, timeout=LOCK_WAIT_S, isolation_level=None)
        with _explained(self._path):
            # The exclusive lock must be asked for before the log is: SQLite then needs no shared memory beside it.
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            with _transaction(connection):
                self._settle_schema(connection)
            return self._read(0)[1]

    def _settle_schema(self, connection: sqlite3.Connection) -> None:
        _check_schema(connection, self._path)
        connection.execute("CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, event TEXT NOT NULL)")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _append(self, *happened: events.AnyEvent) -> None:
        connection = self._opened()
        rows = [(events.to_json(event),) for event in happened]
        try:
            with _transaction(connection):
                connection.executemany("INSERT INTO events (event) VALUES (?)", rows)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise
            raise RefusedError(Reason.STORAGE_FULL, f"the journal: {error}") from error

    def _read(self, after: int) -> tuple[int, list[events.AnyEvent]]:
        rows = self._opened().execute("SELECT number, event FROM events WHERE number > ? ORDER BY number", (after,))
        found = list(rows)
        return (found[-1][0] if found else after), [events.from_json(text) for _, text in found]

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise JournalError(f"{self._path} is not open")
        return self._connection


def read_events(path: Path) -> Iterator[events.AnyEvent]:
    """Read the events of a journal that nobody else holds, one at a time, as there may be more than memory is for.

    Raises:
        JournalError: it was written by a newer version, or is damaged.
    """
    with _explained(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if _check_schema(connection, path):
            for (text,) in connection.execute("SELECT event FROM events ORDER BY number"):
                yield events.from_json(text)


def _check_schema(connection: sqlite3.Connection, path: Path) -> int:
    """Return the journal's version, 0 for one that nothing was written to yet."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise JournalError(f"{path} has schema {version}, this version reads {SCHEMA_VERSION} at most")
    return int(version)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and a damaged line raise into what can be said of a journal."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise JournalError(f"{path}: {error}") from error
    except (sqlite3.DatabaseError, ValidationError) as error:
        what = str(error).partition("\n")[0]
        raise JournalError(f"{path} is damaged ({what}); restore it, or start the job anew") from error


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit at the end of the block, roll back when it raises, the commit itself included."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has already rolled back after some errors, a full disk among them.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
