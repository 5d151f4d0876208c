"""Follows a run until it is over, through a server's absence; and when to stop waiting for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fedward_cli.tracking.trouble import TrackingError

POLL_S = 1.0
"""How often the folder is looked at."""
LONGEST_RETRY_S = 60.0
"""How long at most from one try to the next while the run goes on; a server that is down is not hammered."""


class Book(Protocol):
    """What is followed; see Logbook."""

    @property
    def logged(self) -> int:
        """Up to which round everything is logged."""

    def advance(self, *, is_over: bool, now: float) -> None:
        """Log what there is that is not logged.

        Raises:
            TrackingError: the server could not be told.
        """


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server that is away is waited for once the run is over, and how often it is tried in that time."""

    total_s: float
    longest_retry_s: float

    def __str__(self) -> str:
        return f"{self.total_s / 3600:.0f} h" if self.total_s >= 3600 else f"{self.total_s:.0f} s"


SOMEBODY_WAITS = Patience(total_s=60.0, longest_retry_s=5.0)
"""For a run on somebody's own machine."""


@dataclass(frozen=True, slots=True)
class World:
    """What following needs of the world outside."""

    is_in_use: Callable[[], bool]
    """Whether a run is still writing to the folder."""
    clock: Callable[[], float]
    """Unix seconds."""
    wait: Callable[[float], None]
    draw: Callable[[], float]
    """Uniform in [0, 1)."""
    say: Callable[[str], None]


def follow(book: Book, server: str, world: World, patience: Patience = SOMEBODY_WAITS) -> bool:
    """Log a run to the server of this name until the run is over and all of it is logged; False if some is missing."""
    over_at: float | None = None
    failures, told, next_try = 0, "", 0.0
    while True:
        if over_at is None and not world.is_in_use():
            over_at = next_try = world.clock()
        if world.clock() >= next_try:
            try:
                book.advance(is_over=over_at is not None, now=world.clock())
            except TrackingError as error:
                if over_at is not None and world.clock() - over_at >= patience.total_s:
                    return False
                failures += 1
                longest_s = LONGEST_RETRY_S if over_at is None else patience.longest_retry_s
                next_try = world.clock() + retry_s(failures, world.draw(), longest_s)
                if str(error) != told:
                    told = str(error)
                    world.say(f"{server} {told}; {_what_now(None if over_at is None else patience)}")
            else:
                if told:
                    world.say(f"{server} is back, and has everything up to round {book.logged}")
                if over_at is not None:
                    return True
                failures, told = 0, ""
        world.wait(POLL_S)


def retry_s(failures: int, draw: float, longest_s: float) -> float:
    """Give the wait after so many failures: doubling from 1 s to a cap, drawn from its upper half."""
    return float(min(longest_s, 2.0 ** min(failures - 1, 10))) * (0.5 + draw / 2)


def _what_now(patience: Patience | None) -> str:
    if patience is not None:
        return f"it is tried for {patience}"
    return "training goes on, and what is missing is logged once it is back"
