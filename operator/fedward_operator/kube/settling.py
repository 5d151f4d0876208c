"""When news is written: not at once, since more comes in the same moment, but never kept for long."""

from __future__ import annotations

import time
from collections.abc import Callable

_SETTLES_S = 0.4
"""What happens together is told together."""

_WHILE_BUSY_S = 15.0
"""While other objects wait for a look, news waits for them: what is to be made comes before what is to be said."""

_LOOK_AGAIN_S = 1.0


class Settling:
    """Keeps, for each object, since when its status is out of date."""

    def __init__(self, is_busy: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._is_busy, self._clock = is_busy, clock
        self._since: dict[str, float] = {}

    def wait_s(self, uid: str) -> float:
        """Return how long an object's news has to wait still; 0 or less: it is time."""
        now = self._clock()
        since = self._since.setdefault(uid, now)
        if self._is_busy() and now - since < _WHILE_BUSY_S:
            return _LOOK_AGAIN_S
        return since + _SETTLES_S - now

    def said(self, uid: str) -> None:
        """Take in that an object's status is up to date."""
        self._since.pop(uid, None)
