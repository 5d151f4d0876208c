"""One line of the audit log: JSON that names the line before it by its SHA-256, and seals itself.

The link to the line before makes the log a chain. The seal, over the line's own bytes, is for the last line, which no
other names yet: it shows damage. Against someone who rewrites the end of the log, seals included, only a head that was
noted elsewhere helps.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

GENESIS = "genesis"
"""The event of the first record of a log."""

NO_RECORD = "0" * 64
"""Stands where a record before the first would be named."""

MAX_LINE = 1 << 20
"""Bytes in a line at most, so that reading one is bounded."""

_SEAL = ',"seal":"'
_ENDING = re.compile(rb',"seal":"([0-9a-f]{64})"\}\n')
_ENDING_NBYTES = len(_SEAL) + 64 + len('"}\n')


@dataclass(frozen=True, slots=True)
class Record:
    """A line.

    Attributes:
        number: its place in the whole log, from 0.
        time: when it was written, by the gateway's clock.
        event: what happened, in a word.
        facts: the particulars.
        previous: `digest_of` the line before.
    """

    number: int
    time: datetime
    event: str
    facts: Mapping[str, JsonValue]
    previous: str

    def line(self) -> bytes:
        """Serialise, newline included; the one form that `parse` accepts.

        Raises:
            ValueError: a fact is NaN or infinite, or the line would be longer than MAX_LINE.
            TypeError: a fact is none of JSON's types.
        """
        document = {
            "number": self.number,
            "time": self.time.astimezone(UTC).isoformat(timespec="microseconds"),
            "event": self.event,
            "facts": self.facts,
            "previous": self.previous,
        }
        body = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()[:-1]
        seal = hashlib.sha256(body).hexdigest()
        line = body + f'{_SEAL}{seal}"}}\n'.encode()
        if len(line) > MAX_LINE:
            raise ValueError(f"the record takes {len(line)} bytes, more than {MAX_LINE}")
        return line


def digest_of(line: bytes) -> str:
    """Return the SHA-256 of a whole line, newline included, in hexadecimal: what the next line calls it."""
    return hashlib.sha256(line).hexdigest()


def parse(line: bytes) -> Record:
    """Read a line back.

    Raises:
        ValueError: the line is incomplete, or not as it was written; the message says which.
    """
    if len(line) > MAX_LINE:
        raise ValueError("the line was altered: it is longer than any record")
    if not line.endswith(b"\n"):
        raise ValueError("the line is incomplete: power was lost while it was written, or its end was cut off")
    ending = _ENDING.fullmatch(line[-_ENDING_NBYTES:])
    body = line[:-_ENDING_NBYTES]
    if ending is None or hashlib.sha256(body).hexdigest().encode() != ending[1]:
        raise ValueError("the line was altered: its seal does not fit")
    try:
        document = json.loads(line)
        record = Record(
            number=document["number"],
            time=datetime.fromisoformat(document["time"]),
            event=document["event"],
            facts=document["facts"],
            previous=document["previous"],
        )
        is_canonical = record.line() == line
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError("the line was altered: it is no record") from error
    if not is_canonical:
        raise ValueError("the line was altered: it is not written as the gateway writes")
    return record
