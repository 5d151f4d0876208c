"""The log lines of a local run's processes, joined in the order of their times."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import IO

from fedward_cli.local.folder import Folder, is_in_use
from fedward_cli.logs.line import Line
from fedward_cli.problems import InputError, Problem

_PAUSE_S = 0.5
"""Between two looks: nothing tells another process that a file has grown."""

_BEFORE_ALL = ""


def lines(
    out: Path, site: str | None, since: datetime | None, *, follow: bool, pause: Callable[[float], None]
) -> Iterator[Line]:
    """Give each process's lines; with `follow`, until nobody works on the run any more.

    Raises:
        InputError: there are no logs, or none of this site.
    """
    files = sorted((out / "logs").glob("*.log"))
    if site is not None:
        files = [each for each in files if each.stem in (f"gateway-{site}", f"trainer-{site}")]
    if not files:
        of_site = f" of a site {site}" if site else ""
        raise InputError([Problem(str(out / "logs"), (), f"holds no log{of_site}")])
    width = max(len(each.stem) for each in files)
    earliest = since.strftime("%Y-%m-%dT%H:%M:%S") if since else _BEFORE_ALL
    with ExitStack() as stack:
        # A carriage return ends no line, or what stands behind one would pass for another process's.
        opened = [
            (each.stem, stack.enter_context(each.open(encoding="utf-8", errors="replace", newline="\n")))
            for each in files
        ]
        while True:
            is_live = follow and is_in_use(Folder(out))
            timed = [_timed(name, file) for name, file in opened]
            for time, name, line in heapq.merge(*timed):
                if time >= earliest:
                    yield Line(name, line, f"{name:<{width}} ")
            if not is_live:
                return
            pause(_PAUSE_S)


def _timed(name: str, file: IO[str]) -> Iterator[tuple[str, str, str]]:
    """Give each line with the time that it begins with; a line without one belongs to the one before."""
    time = _BEFORE_ALL
    for line in _whole(file):
        if line[:4].isdigit() and line[4:5] == "-":
            time = line.split(" ", 1)[0]
        yield time, name, line


def _whole(file: IO[str]) -> Iterable[str]:
    """Read what is there of complete lines; half a line is read when its rest has come."""
    while True:
        place = file.tell()
        line = file.readline()
        if not line.endswith("\n"):
            file.seek(place)
            return
        yield line.rstrip("\n")
