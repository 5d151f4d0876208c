"""How long to wait before trying again: exponentially longer, jittered, capped, for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator

FIRST_S = 0.2
LONGEST_S = 5.0

Backoff = Callable[[], Iterator[float]]
"""Starts a fresh series of pauses, in seconds."""


def jittered(uniform: Callable[[], float]) -> Backoff:
    """Make series of pauses from 0.2 s to 5 s, each between half and all of its length.

    The jitter keeps a federation's sites from coming back in step after the hub was away.

    Args:
        uniform: gives random numbers in [0, 1).
    """

    def pauses() -> Iterator[float]:
        length = FIRST_S
        while True:
            yield length * (0.5 + 0.5 * uniform())
            length = min(2 * length, LONGEST_S)

    return pauses
