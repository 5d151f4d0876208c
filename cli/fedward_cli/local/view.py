"""What a local run shows while it goes: an event a line, for logs and pipes; `live.py` draws on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from fedward_cli.local.attempt import Attempt
from fedward_cli.local.history import History
from fedward_cli.local.processes import Crash
from fedward_cli.local.wording import metric_of_model, remaining_s, show_bytes, show_seconds
from fedward_protocol.wire import federation_pb2 as pb


class View(Protocol):
    """Someone to tell of a run."""

    def started(self, attempt: Attempt) -> None:
        """The processes are being started."""

    def observed(self, history: History, closed: Sequence[pb.RoundClosed]) -> None:
        """Something was observed; `closed` are the rounds that it closed."""

    def crashed(self, crash: Crash, tail: str) -> None:
        """A process ended when it should not have; `tail` is the end of its log."""

    def say(self, text: str) -> None:
        """Something worth a line has happened."""

    def close(self) -> None:
        """Nothing more will come."""


class Silent:
    """Shows nothing; for tests and benchmarks."""

    def started(self, attempt: Attempt) -> None:
        """Pass over it."""

    def observed(self, history: History, closed: Sequence[pb.RoundClosed]) -> None:
        """Pass over it."""

    def crashed(self, crash: Crash, tail: str) -> None:
        """Pass over it."""

    def say(self, text: str) -> None:
        """Pass over it."""

    def close(self) -> None:
        """Pass over it."""


class Lines:
    """Prints each event as one line that starts with the time since the start."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock, self._began = write, clock, clock()
        self._attempt: Attempt | None = None
        self._state = ""
        self._sites: dict[str, str] = {}

    def started(self, attempt: Attempt) -> None:
        """Say what starts."""
        self._attempt = attempt
        plan = attempt.plan
        again = f", attempt {attempt.number}" if attempt.number > 1 else ""
        self.say(f"{plan.job.name}{again}: {plan.rounds.count} rounds at {', '.join(plan.sites)}")

    def observed(self, history: History, closed: Sequence[pb.RoundClosed]) -> None:
        """Say which rounds closed and which sites came, went or failed."""
        for each in history.status.sites:
            before, now = self._sites.get(each.name, "Absent"), each.state
            if history.is_over:
                continue
            if now != before and now in ("Lost", "Failed"):
                self.say(f"site {each.name} {now.lower()}{f' ({each.reason})' if each.reason else ''}")
            elif now != before and before in ("Absent", "Lost"):
                self.say(f"site {each.name} {'is here' if before == 'Absent' else 'is back'}")
            self._sites[each.name] = now
        if history.status.state != self._state:
            self._state = history.status.state
            if self._state in ("Evaluating", "Completed", "Failed"):
                self.say(f"job {self._state.lower()}")
        for each_closed in closed:
            self.say(round_line(each_closed, history, self._attempt))

    def crashed(self, crash: Crash, tail: str) -> None:
        """Say who crashed, with the end of its log where it will not be started again."""
        self.say(crash_line(crash))
        if not crash.restarts and tail:
            self._write(tail)

    def say(self, text: str) -> None:
        """Write a line."""
        self._write(f"[{show_seconds(self._clock() - self._began):>6}] {text}")

    def close(self) -> None:
        """Every line has been written already."""


def round_line(closed: pb.RoundClosed, history: History, attempt: Attempt | None) -> str:
    """Sum up a closed round in a line."""
    rounds = attempt.plan.rounds.count if attempt else history.status.rounds
    metric = attempt.plan.evaluation.metric if attempt else "dice"
    value = metric_of_model(history.records, closed.round - 1, metric)
    nbytes = sum(record.nbytes_up for record in history.records if record.round == closed.round and record.samples)
    left = remaining_s(history.closed.values(), rounds)
    parts = [
        f"{len(closed.sites)} of {len(closed.sites) + len(closed.missing)} sites",
        f"{metric} {value:.3f} at its start" if value is not None else "",
        f"{show_bytes(nbytes)} up",
        f"took {show_seconds(closed.closed_at - closed.opened_at)}",
        f"{show_seconds(left)} to go" if left else "",
        f"without {', '.join(closed.missing)}" if closed.missing else "",
    ]
    return f"round {closed.round}/{rounds}: " + ", ".join(part for part in parts if part)


def crash_line(crash: Crash) -> str:
    """Say that a process crashed, and what comes of it."""
    how = f"was killed by signal {-crash.code}" if crash.code < 0 else f"ended with code {crash.code}"
    return f"{crash.name} {how}; {'it is started again' if crash.restarts else 'it is given up'}"
