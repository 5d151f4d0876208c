"""The privacy ledger: what each dataset has given away so far, over all jobs and restarts, and where it stops."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fedward_node.gateway.accounting import COMPOSITION_DELTA, Cost, compose, guarantee
from fedward_protocol.reasons import Reason, RefusedError

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE release (
    dataset TEXT NOT NULL,
    job TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    round INTEGER NOT NULL,
    raw BLOB NOT NULL,
    released BLOB NOT NULL,
    guaranteed INTEGER NOT NULL,
    pure REAL NOT NULL,
    answers REAL NOT NULL,
    answers_squared REAL NOT NULL,
    gaussian REAL NOT NULL,
    PRIMARY KEY (dataset, job, attempt, round, raw, released)
) STRICT, WITHOUT ROWID
"""

_LOCK_WAIT_S = 30.0
"""How long one charge waits for another; each holds the lock for one fsync."""


class Limit(Protocol):
    """A dataset's privacy budget, as the work order states it; an `epsilon` of None sets no limit."""

    @property
    def epsilon(self) -> float | None:
        """The ε that all releases of the dataset together may reach."""

    @property
    def delta(self) -> float:
        """The δ at which that ε is computed."""


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    """One release. The same key is charged once, however often it is asked for.

    `released` is in the key because another output from the same input is another draw of the noise, and reveals more.

    Attributes:
        job: the job's uid.
        attempt: the job's attempt.
        round: the round that the update is for.
        raw: SHA-256 of the update as the trainer sent it.
        released: SHA-256 of the filtered update.
    """

    job: str
    attempt: int
    round: int
    raw: bytes
    released: bytes


@dataclass(frozen=True, slots=True)
class Spent:
    """What a dataset has given away.

    Attributes:
        epsilon: the composed ε of all releases; None where one of them had no guarantee, so that the sum has none.
        delta: the δ at which `epsilon` holds.
        releases: how many updates were released.
        unguaranteed: how many of them carried no guarantee.
    """

    epsilon: float | None
    delta: float
    releases: int
    unguaranteed: int


class Ledger:
    """The ledger file; any number of threads and processes on one host may hold one each on the same path."""

    def __init__(self, path: Path) -> None:
        """Open the ledger, and make it if there is none.

        Raises:
            RefusedError: FILTER_FAILED or STORAGE_FULL: the file cannot be read or is not a ledger of this version.
        """
        self._path = path
        with self._transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            elif version != _SCHEMA_VERSION:
                raise RefusedError(Reason.FILTER_FAILED, f"the privacy ledger has version {version}, not 1")

    def charge(self, dataset: str, key: ReleaseKey, cost: Cost | None, budget: Limit | None) -> Spent:
        """Write a release down before it leaves; it is on disk when this returns.

        Args:
            dataset: the dataset's name in the site's policy.
            key: the release.
            cost: what it reveals; None where no filter gave a guarantee.
            budget: the dataset's budget, if it has one.

        Returns:
            What the dataset has given away, this release included.

        Raises:
            RefusedError: BUDGET_SPENT: the release would pass the budget, or has no guarantee where there is a budget;
                nothing is written. FILTER_FAILED, STORAGE_FULL: the ledger cannot be written.
        """
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO release VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(dataset, key, cost)
            )
            is_new = connection.execute("SELECT changes()").fetchone() == (1,)
            spent = _spent(connection, dataset, budget.delta if budget else COMPOSITION_DELTA)
            if is_new and budget is not None and budget.epsilon is not None:
                _check(spent, cost, budget.epsilon)
            return spent

    def spent(self, dataset: str, delta: float) -> Spent:
        """Compose all releases of a dataset into one (ε, `delta`).

        Raises:
            RefusedError: FILTER_FAILED: the ledger cannot be read.
        """
        with self._transaction() as connection:
            return _spent(connection, dataset, delta)

    def datasets(self) -> list[str]:
        """Name the datasets of which something was released.

        Raises:
            RefusedError: FILTER_FAILED: the ledger cannot be read.
        """
        with self._transaction() as connection:
            return [name for (name,) in connection.execute("SELECT DISTINCT dataset FROM release ORDER BY dataset")]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a connection of its own, so that threads share nothing, for one transaction; any error undoes it."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_LOCK_WAIT_S, isolation_level=None)) as connection:
                # EXTRA is FULL plus an fsync of the folder: without it a power cut right after a commit could bring the
                # rollback journal back, and with it the budget.
                connection.execute("PRAGMA synchronous = EXTRA")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    if connection.in_transaction:  # a full disk has rolled it back already
                        connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            reason = Reason.STORAGE_FULL if full else Reason.FILTER_FAILED
            raise RefusedError(reason, f"privacy ledger {self._path}: {error}") from error


def _row(dataset: str, key: ReleaseKey, cost: Cost | None) -> tuple[object, ...]:
    parts = cost or Cost()
    identity = (dataset, key.job, key.attempt, key.round, key.raw, key.released)
    return (*identity, int(cost is not None), parts.pure, parts.answers, parts.answers_squared, parts.gaussian)


def _spent(connection: sqlite3.Connection, dataset: str, delta: float) -> Spent:
    rows = connection.execute(
        "SELECT guaranteed, pure, answers, answers_squared, gaussian FROM release WHERE dataset = ?", (dataset,)
    ).fetchall()
    unguaranteed = sum(1 for row in rows if not row[0])
    if unguaranteed:
        return Spent(None, delta, len(rows), unguaranteed)
    total = guarantee(compose(Cost(*row[1:]) for row in rows), delta)
    return Spent(total.epsilon, total.delta, len(rows), 0)


def _check(spent: Spent, cost: Cost | None, epsilon: float) -> None:
    if cost is None:
        raise RefusedError(Reason.BUDGET_SPENT, "the dataset has a budget, and no filter of this job gives a guarantee")
    if spent.epsilon is None:
        raise RefusedError(
            Reason.BUDGET_SPENT, "updates without any guarantee left this dataset before it had a budget"
        )
    if spent.epsilon > epsilon:
        raise RefusedError(Reason.BUDGET_SPENT, f"ε would be {spent.epsilon:.4g}, the budget is {epsilon:.4g}")
