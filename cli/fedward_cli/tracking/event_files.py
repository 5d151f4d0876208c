"""TensorBoard's event files of a run: one run of TensorBoard's for the federation and one for each site."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from fedward_cli.results import ClosedRound, RoundRecord
from fedward_cli.tracking.points import Point, points_of

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

FOLDER = "tensorboard"
# TensorBoard takes any file with `tfevents` in its name. A name that never changes, and content that follows from the
# run's records alone, let a resumed run go on in the same file.
_FILE = "events.out.tfevents.fedward"


class EventFiles:
    """Writes `tensorboard/` (the federation) and `tensorboard/SITE/` under a run's folder, each round once."""

    def __init__(self, out: Path, chosen_by: str) -> None:
        self._folder, self._chosen_by = out / FOLDER, chosen_by
        self._told: set[int] = set()

    def begin(self, records: Iterable[RoundRecord], rounds: Iterable[ClosedRound], *, is_over: bool) -> None:
        """Bring the files to what is known of the run; points that lie there already are not written again.

        Args:
            records: every site's part in every round so far.
            rounds: the closed rounds.
            is_over: whether the last model's evaluation is complete too.

        Raises:
            OSError: the files cannot be written.
        """
        parts: dict[int, list[RoundRecord]] = {}
        last: list[RoundRecord] = []
        for record in records:
            (parts.setdefault(record.round, []) if record.samples else last).append(record)
        points: list[Point] = []
        for closed in sorted(rounds, key=lambda each: each.round):
            self._told.add(closed.round)
            points += points_of(parts.get(closed.round, []), closed, self._chosen_by)
        if is_over:
            points += points_of(last, None, self._chosen_by)
        for site, own in _by_site(points).items():
            path = self._path(site)
            expected = _header(own[0]) + _encode(own)
            there = path.read_bytes() if path.exists() else b""
            if expected.startswith(there):
                _append(path, expected[len(there) :])
            else:
                partial = path.with_name("new")
                partial.write_bytes(expected)
                partial.replace(path)

    def add(self, records: Iterable[RoundRecord], closed: ClosedRound) -> None:
        """Write a round that has closed, unless it is there.

        Raises:
            OSError: a file cannot be written.
        """
        if closed.round in self._told:
            return
        self._told.add(closed.round)
        parts = [each for each in records if each.round == closed.round and each.samples]
        for site, own in _by_site(points_of(parts, closed, self._chosen_by)).items():
            path = self._path(site)
            _append(path, _encode(own) if path.exists() else _header(own[0]) + _encode(own))

    def _path(self, site: str | None) -> Path:
        folder = self._folder / site if site else self._folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder / _FILE


def _by_site(points: Iterable[Point]) -> dict[str | None, list[Point]]:
    found: dict[str | None, list[Point]] = {}
    for point in points:
        found.setdefault(point.site, []).append(point)
    return found


def _header(first: Point) -> bytes:
    """Every event file begins with its version; the time is what TensorBoard counts relative times from."""
    from tensorboard.compat.proto.event_pb2 import Event

    return _framed([Event(wall_time=first.at, file_version="brain.Event:2")])


def _encode(points: Iterable[Point]) -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    return _framed(
        Event(
            wall_time=point.at,
            step=point.step,
            summary=Summary(value=[Summary.Value(tag=point.name, simple_value=point.value)]),
        )
        for point in points
    )


def _framed(events: Iterable[Event]) -> bytes:
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = BytesIO()
    writer = RecordWriter(buffer)
    for event in events:
        writer.write(event.SerializeToString())
    return buffer.getvalue()


def _append(path: Path, content: bytes) -> None:
    if content:
        with path.open("ab") as file:
            file.write(content)
