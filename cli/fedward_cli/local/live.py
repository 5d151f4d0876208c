"""A local run drawn live on a terminal: rounds, sites and their stages, the metric, bytes and the time to go."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fedward_cli.local.attempt import Attempt
from fedward_cli.local.history import History
from fedward_cli.local.processes import Crash
from fedward_cli.local.view import crash_line, round_line
from fedward_cli.local.wording import metric_of_model, remaining_s, show_bytes, show_seconds
from fedward_protocol.wire import federation_pb2 as pb

_STYLES = {"Failed": "red", "Lost": "red", "Absent": "yellow", "Submitted": "green", "Training": "cyan"}


class Drawn:
    """Draws the run's state below the lines that have scrolled by."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._attempt: Attempt | None = None
        self._history: History | None = None
        self._began = time.monotonic()
        # Its own thread redraws, so that the clock goes on while nothing is heard.
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=4, transient=True)

    def started(self, attempt: Attempt) -> None:
        """Start drawing."""
        self._attempt = attempt
        self._live.start()

    def observed(self, history: History, closed: Sequence[pb.RoundClosed]) -> None:
        """Take the new state; a closed round leaves a line."""
        self._history = history
        for each in closed:
            self.say(round_line(each, history, self._attempt))

    def crashed(self, crash: Crash, tail: str) -> None:
        """Leave a line, and the end of the log where the process is not started again."""
        self._console.print(Text(crash_line(crash), "red"))
        if not crash.restarts and tail:
            self._console.print(Text(tail, "dim"))

    def say(self, text: str) -> None:
        """Leave a line."""
        self._console.print(Text(text))

    def close(self) -> None:
        """Stop drawing and take the drawing away."""
        self._live.stop()

    def _draw(self) -> RenderableType:
        if self._attempt is None:
            return Text("")
        status = self._history.status if self._history else pb.JobStatus()
        if self._history is None or not status.state:
            return Text(f"starting {self._attempt.plan.job.name} … {show_seconds(time.monotonic() - self._began)}")
        return Group(self._heading(self._history, self._attempt), self._sites(self._history, self._attempt))

    def _heading(self, history: History, attempt: Attempt) -> Table:
        status, rounds = history.status, attempt.plan.rounds.count
        left = remaining_s(history.closed.values(), rounds)
        heading = Table.grid(padding=(0, 1))
        heading.add_row(
            Text(attempt.plan.job.name, "bold"),
            ProgressBar(total=rounds, completed=len(history.closed), width=24),
            f"round {status.round}/{rounds}",
            status.state.lower(),
            f"{status.arrived} arrived, quorum {status.quorum}",
            show_seconds(time.monotonic() - self._began),
            f"about {show_seconds(left)} to go" if left else "",
        )
        return heading

    def _sites(self, history: History, attempt: Attempt) -> Table:
        metric, rounds = attempt.plan.evaluation.metric, max(history.closed, default=0)
        table = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("site", "state", "stage", "", "loss", metric, "up", "down"):
            table.add_column(title, justify="right" if title in ("loss", metric, "up", "down") else "left")
        for site in history.status.sites:
            training, progress = site.state == "Training", site.progress
            mean = site.metrics.get(metric)
            table.add_row(
                site.name,
                Text(site.state.lower() + (f" ({site.reason})" if site.reason else ""), _STYLES.get(site.state, "")),
                progress.stage if training else "",
                ProgressBar(total=1, completed=progress.fraction, width=16) if training and progress.stage else "",
                f"{progress.loss:.3f}" if training and progress.loss == progress.loss and progress.loss else "",
                f"{mean.sum / mean.count:.3f}" if mean and mean.count else "",
                show_bytes(site.bytes_up),
                show_bytes(site.bytes_down),
            )
        value = metric_of_model(history.records, rounds - 1, metric)
        table.caption = f"mean {metric} of round {rounds - 1}'s model: {value:.3f}" if value is not None else None
        return table
