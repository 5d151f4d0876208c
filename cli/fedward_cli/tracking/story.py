"""Reads a run's records as they are written, a round at a time, and keeps no more of them than the round it is at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from fedward_cli.results import METRICS, ROUNDS, ClosedRound, RoundRecord, parse


@dataclass(frozen=True, slots=True)
class Chapter:
    """A closed round with its sites' parts, or (no `closed`) the evaluations of the last model."""

    parts: tuple[RoundRecord, ...]
    closed: ClosedRound | None = None


class Story:
    """Tells closed rounds in their order; one stays the next until it is done with."""

    def __init__(self, out: Path) -> None:
        self._parts, self._rounds = _Lines(out / METRICS), _Lines(out / ROUNDS)
        self._early: list[RoundRecord] = []
        self._next: Chapter | None = None

    def next(self) -> Chapter | None:
        """Give the next closed round; None while there is none.

        Raises:
            InputError: a complete line is not a record.
            OSError: a file cannot be read.
        """
        if self._next is None:
            line = next(iter(self._rounds), None)
            self._next = self._chapter(parse(ClosedRound, *line)) if line else None
        return self._next

    def done(self) -> None:
        """Go on to the round after."""
        self._next = None

    def rest(self) -> list[Chapter]:
        """Give what belongs to no closed round, once all is over: the last model's evaluations.

        Raises:
            InputError: a complete line is not a record.
            OSError: a file cannot be read.
        """
        self._early += (parse(RoundRecord, *line) for line in self._parts)
        self._early.sort(key=_round)
        return [Chapter(tuple(parts)) for _, parts in groupby(self._early, _round)]

    def _chapter(self, closed: ClosedRound) -> Chapter:
        parts = {part.site: part for part in self._early if part.round == closed.round}
        self._early = [part for part in self._early if part.round != closed.round]
        # All of them were written before the round's own line.
        while not parts.keys() >= set(closed.sites) and (line := next(iter(self._parts), None)):
            part = parse(RoundRecord, *line)
            if part.round == closed.round and part.samples:
                parts[part.site] = part
            else:
                self._early.append(part)
        return Chapter(tuple(parts.values()), closed)


class _Lines:
    """The complete lines of a file that grows, each once, with its place."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset, self._number = path, 0, 0

    def __iter__(self) -> Iterator[tuple[bytes, str]]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # the rest of it is still to come
                self._offset += len(line)
                self._number += 1
                if line.strip():
                    yield line, f"{self._path}:{self._number}"


def _round(record: RoundRecord) -> int:
    return record.round
