"""Waits for what a cluster has to come to, with a deadline and the last thing seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_S = 0.1


def wait_until(what: str, look: Callable[[], T], seconds: float = 30.0, is_it: Callable[[T], object] = bool) -> T:
    """Look until it is so, and return what was seen.

    Raises:
        AssertionError: it was not so in time; names the last thing seen.
    """
    ends_at = time.monotonic() + seconds
    while True:
        seen = look()
        if is_it(seen):
            return seen
        if time.monotonic() > ends_at:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {seen}")
        time.sleep(_POLL_S)
