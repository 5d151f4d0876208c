"""Follows a run until it is over, through a server's absence; and when to stop waiting for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fedward_cli.tracking.logbook import Logbook
from fedward_cli.tracking.trouble import TrackingError

POLL_S = 1.0
"""How often the folder is looked at."""
PATIENCE_S = 60.0
"""How long a server that is away is waited for once the run is over."""
LONGEST_RETRY_S = 60.0
"""How long at most from one try to the next while the run goes on; a server that is down is not hammered."""
_LAST_RETRIES_S = 5.0
"""The same once the run is over."""


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


def follow(logbook: Logbook, server: str, world: World) -> bool:
    """Log a run to the server of this name until the run is over and all of it is logged; False if some is missing."""
    over_at: float | None = None
    failures, told, next_try = 0, "", 0.0
    while True:
        if over_at is None and not world.is_in_use():
            over_at = next_try = world.clock()
        if world.clock() >= next_try:
            try:
                logbook.advance(is_over=over_at is not None, now=world.clock())
            except TrackingError as error:
                if over_at is not None and world.clock() - over_at >= PATIENCE_S:
                    return False
                failures += 1
                next_try = world.clock() + retry_s(failures, world.draw(), is_over=over_at is not None)
                if str(error) != told:
                    told = str(error)
                    world.say(f"{server} {told}; {_what_now(over_at is not None)}")
            else:
                if told:
                    world.say(f"{server} is back, and has everything up to round {logbook.logged}")
                if over_at is not None:
                    return True
                failures, told = 0, ""
        world.wait(POLL_S)


def retry_s(failures: int, draw: float, *, is_over: bool) -> float:
    """Give the wait after so many failures: doubling from 1 s to a cap, drawn from its upper half."""
    return float(min(_LAST_RETRIES_S if is_over else LONGEST_RETRY_S, 2.0 ** min(failures - 1, 10))) * (0.5 + draw / 2)


def _what_now(is_over: bool) -> str:
    if is_over:
        return f"it is tried for {PATIENCE_S:.0f} s"
    return "training goes on, and what is missing is logged once it is back"
