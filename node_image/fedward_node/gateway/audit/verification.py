"""Whether an audit log is whole: every record there, unaltered, in order, from the first; or where that ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fedward_node.gateway.audit.record import GENESIS, MAX_LINE, NO_RECORD, Record, digest_of, parse

FILE_NAME = re.compile(r"\d{4}-\d{2}-\d{2}\.jsonl")
"""A file holds a day by UTC, so that the order of the names is the order of the chain."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found.

    Attributes:
        records: how many records are whole and in order, counted from the first.
        first: when the first of them was written; None when there is none.
        last: when the last of them was written; None when there is none.
        head: the digest of the last of them, to be noted outside the site; `NO_RECORD` when there is none.
        broken: None, or "file:line: what is wrong" of the first place where the log is not whole.
    """

    records: int
    first: datetime | None
    last: datetime | None
    head: str
    broken: str | None

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.broken is None


@dataclass(slots=True)
class Chain:
    """The records so far; follows the log line by line."""

    records: int = 0
    first: datetime | None = None
    last: datetime | None = None
    head: str = NO_RECORD

    def follow(self, line: bytes) -> Record:
        """Take the next line.

        Raises:
            ValueError: it is not the next record of this chain.
        """
        record = parse(line)
        if record.number != self.records:
            raise ValueError(f"record {record.number} stands where {self.records} belongs: removed, added or moved")
        if record.previous != self.head:
            raise ValueError("the record before it was altered or replaced: the link does not fit")
        if (record.event == GENESIS) != (self.records == 0):
            raise ValueError("the log does not begin here, or begins twice")
        self.first = self.first or record.time
        self.records, self.last, self.head = self.records + 1, record.time, digest_of(line)
        return record


def files_of(directory: Path) -> list[Path]:
    """Return the log's files in the order of the chain.

    Raises:
        ValueError: a file is there that the gateway would not have written.
        OSError: the folder cannot be read.
    """
    files = sorted(directory.glob("*.jsonl"))
    for path in files:
        if not FILE_NAME.fullmatch(path.name):
            raise ValueError(f"{path}:1: not a file of the gateway's")
    return files


def lines_of(path: Path) -> Iterator[bytes]:
    """Yield a file's lines, newlines included; a longer one than any record is yielded in parts."""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE + 1):
            yield line


def verify(directory: Path, head: str | None = None) -> Verdict:
    """Check a log from its first record to its last.

    Altered, removed, added and moved records are found. What the files alone cannot show is that records were cut off
    the *end*, or that the whole log was written anew: for that, note the head now and then where the site's
    administrators cannot write, and pass it here later. A log that has grown since still contains it.

    Args:
        directory: the folder of the log.
        head: the digest, in hexadecimal, of a record that is known to have been the last one once.

    Raises:
        OSError: the folder or a file cannot be read.
    """
    chain = Chain()
    is_head_there = head is None or head.lower() == NO_RECORD
    broken = None
    try:
        files = files_of(directory)
        for path in files:
            for number, line in enumerate(lines_of(path), start=1):
                try:
                    chain.follow(line)
                except ValueError as error:
                    raise ValueError(f"{path}:{number}: {error}") from error
                is_head_there |= head is not None and chain.head == head.lower()
        if chain.records == 0:
            raise ValueError(f"{directory}:1: there is no audit log")
        if not is_head_there:
            raise ValueError(f"{files[-1]}: no record has the expected head: records were cut off the end or rewritten")
    except ValueError as error:
        broken = str(error)
    return Verdict(chain.records, chain.first, chain.last, chain.head, broken)
