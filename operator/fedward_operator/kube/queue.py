"""Keys that need a look: each at most once in line and at most once in hand, some not before a time."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """A queue without duplicates; a key that is added while in hand comes back once it is done."""

    def __init__(self) -> None:
        self._line: OrderedDict[K, float] = OrderedDict()
        self._in_hand: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._line)

    @property
    def age_s(self) -> float:
        """How long the first in line has been waiting, in seconds."""
        if not self._line:
            return 0.0
        return time.monotonic() - next(iter(self._line.values()))

    def add(self, key: K) -> None:
        """Put a key in line, now."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._in_hand:
            self._again.add(key)
        elif key not in self._line:
            self._line[key] = time.monotonic()
            self._filled.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Put a key in line after a while, or earlier if it is due earlier already."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(seconds, 0.0)
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self.add, key)

    async def take(self) -> K:
        """Wait for a key and take it in hand."""
        while not self._line:
            self._filled.clear()
            await self._filled.wait()
        key, _ = self._line.popitem(last=False)
        self._in_hand.add(key)
        return key

    def done(self, key: K) -> None:
        """Let go of a key."""
        self._in_hand.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
