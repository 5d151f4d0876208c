"""Keys that need a look: each at most once in line and at most once in hand, some not before a time."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """A queue without duplicates; a key that is added while in hand comes back once it is let go."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._line: OrderedDict[K, None] = OrderedDict()
        self._in_hand: set[K] = set()
        self._again: dict[K, float] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._owed: dict[K, float] = {}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._line)

    @property
    def age_s(self) -> float:
        """For how long the key that was asked for first has not been done: in line, in hand or failing, in seconds."""
        # A scrape asks from another thread: what is iterated over must be nobody else's.
        owed = list(self._owed.values())
        return self._clock() - min(owed) if owed else 0.0

    def add(self, key: K) -> None:
        """Put a key in line, now."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._in_hand:
            self._again.setdefault(key, self._clock())
        elif key not in self._line:
            self._owed.setdefault(key, self._clock())
            self._line[key] = None
            self._filled.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Put a key in line after a while, or earlier if it is due earlier already; it ages from then on."""
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
        """Let go of a key that needs nothing more, as far as it had been asked for when it was taken."""
        self._in_hand.discard(key)
        self._owed.pop(key, None)
        asked = self._again.pop(key, None)
        if asked is not None:
            self._owed[key] = asked
            self.add(key)

    def failed(self, key: K, seconds: float) -> None:
        """Let go of a key that was not done, and put it in line again after a while, or now if it was asked for."""
        self._in_hand.discard(key)
        if self._again.pop(key, None) is None:
            self.add_after(key, seconds)
        else:
            self.add(key)
