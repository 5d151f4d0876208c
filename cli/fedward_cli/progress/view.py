"""A job's progress shown as it goes: a line for each change, a document for each, or a drawing on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fedward_cli.local.wording import show_seconds
from fedward_cli.progress.state import Progress, SiteProgress
from fedward_cli.progress.track import Track
from fedward_operator.policy.quorum import TAKES_PART

_STYLES = {"Failed": "red", "Lost": "red", "Refused": "red", "Offline": "yellow", "Submitted": "green"}


class View(Protocol):
    """Someone to tell how a job goes."""

    def show(self, progress: Progress, track: Track, now: datetime) -> None:
        """Take in how it goes now; `track` has seen it already."""

    def say(self, text: str) -> None:
        """Say something that is no progress."""

    def close(self) -> None:
        """Nothing more will come."""


class Lines:
    """Writes a line for whatever changes, for logs and pipes."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._before = write, ""
        self._sites: dict[str, SiteProgress] = {}
        self._now: datetime | None = None

    def show(self, progress: Progress, track: Track, now: datetime) -> None:
        """Write what is new: of the job, and of each site that came, went or cannot."""
        self._now = now
        line = summary(progress)
        if line != self._before:
            self._before = line
            left = track.remaining(progress, now)
            self.say(line + (f", about {show_seconds(left.total_seconds())} to go" if left is not None else ""))
        for site in progress.sites:
            before = self._sites.get(site.name)
            self._sites[site.name] = site
            is_plain = before is None and site.state in TAKES_PART
            if is_plain or progress.outcome == "Completed":
                continue
            if before is None or _standing(before) != _standing(site):
                self.say(f"{progress.name}: {site_line(site)}")

    def say(self, text: str) -> None:
        """Write a line."""
        self._write(f"{self._now:%H:%M:%S} {text}" if self._now else text)

    def close(self) -> None:
        """Every line has been written already."""


class Documents:
    """Writes a document for each change, for programs."""

    def __init__(self, write: Callable[[dict[str, Any]], None], complain: Callable[[str], None]) -> None:
        self._write, self._complain = write, complain
        self._before: dict[str, Any] | None = None

    def show(self, progress: Progress, track: Track, now: datetime) -> None:
        """Write the job as it is now, if that is news."""
        document = progress.document()
        if document != self._before:
            self._before = document
            left = track.remaining(progress, now)
            self._write({**document, "remainingSeconds": round(left.total_seconds()) if left is not None else None})

    def say(self, text: str) -> None:
        """Keep it out of what a program reads."""
        self._complain(text)

    def close(self) -> None:
        """Every document has been written already."""


class Drawn:
    """Draws the job as it is, and keeps the drawing when it ends."""

    def __init__(self, console: Console, clock: Callable[[], datetime]) -> None:
        self._console, self._clock = console, clock
        self._shown: tuple[Progress, Track] | None = None
        # Its own thread redraws, so that the time to go runs while nothing is heard.
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=2)

    def show(self, progress: Progress, track: Track, now: datetime) -> None:  # noqa: ARG002 - it asks the clock anew
        """Draw it from now on."""
        self._shown = progress, track
        self._live.start(refresh=True)

    def say(self, text: str) -> None:
        """Leave a line above the drawing."""
        self._console.print(Text(text))

    def close(self) -> None:
        """Leave the last drawing."""
        self._live.stop()

    def _draw(self) -> RenderableType:
        return picture(*self._shown, self._clock()) if self._shown else Text("")


def picture(progress: Progress, track: Track, now: datetime) -> RenderableType:
    """Draw a job: how far it is, its metric over the rounds, and its sites."""
    return Group(*_heading(progress, track, now), sites_table(progress))


def _heading(progress: Progress, track: Track, now: datetime) -> Iterator[RenderableType]:
    left = track.remaining(progress, now)
    heading = Table.grid(padding=(0, 1))
    heading.add_row(
        Text(f"{progress.namespace}/{progress.name}" if progress.namespace else progress.name, "bold"),
        ProgressBar(total=progress.rounds or 1, completed=progress.rounds_done, width=24),
        f"round {progress.round}/{progress.rounds}",
        Text(progress.state, _STYLES.get(progress.state, "")),
        f"about {show_seconds(left.total_seconds())} to go" if left is not None else "",
    )
    yield heading
    if progress.value is not None:
        yield Text(f"{progress.metric} {progress.value:.3f} {track.sparkline()}")
    if progress.message and progress.state not in TAKES_PART:
        yield Text(progress.message)


def sites_table(progress: Progress) -> Table:
    """Arrange the sites: how each is, and why."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("site", "state", "round", progress.metric, "why"):
        table.add_column(title, justify="right" if title in ("round", progress.metric) else "left")
    for site in progress.sites:
        value = f"{site.value:.3f}" if site.value is not None else ""
        why = f"{site.reason} {site.message}".strip()
        table.add_row(site.name, Text(site.state, _STYLES.get(site.state, "")), str(site.round), value, Text(why))
    return table


def summary(progress: Progress) -> str:
    """Say in a line how a job goes."""
    there = sum(site.state in (*TAKES_PART, "Completed", "Finished") for site in progress.sites)
    parts = [
        f"round {progress.round}/{progress.rounds}",
        f"sites {there}/{len(progress.sites)}" if progress.sites else "",
        f"{progress.metric} {progress.value:.3f}" if progress.value is not None else "",
    ]
    line = f"{progress.name}: {progress.state}, {', '.join(part for part in parts if part)}"
    # What a state that goes well says besides is the round again.
    is_news = progress.message and progress.state not in (*TAKES_PART, "Aggregating", "Evaluating")
    return f"{line}: {progress.message}" if is_news else line


def site_line(site: SiteProgress) -> str:
    """Say in a line how a site's part goes."""
    why = f"{site.reason} {site.message}".strip()
    return f"site {site.name} {site.state}{f' ({why})' if why else ''}"


def _standing(site: SiteProgress) -> tuple[str, str]:
    # Between these states it moves several times a round, which is no news.
    return "Attending" if site.state in TAKES_PART else site.state, site.reason
