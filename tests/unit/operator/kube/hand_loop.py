"""An event loop on which an hour takes no time: whenever everybody waits, the clock jumps to what comes next."""

from __future__ import annotations

import asyncio
import functools
import selectors


class EverybodyWaitsError(Exception):
    """Nothing will ever happen again on this loop."""


class _Jump(selectors.DefaultSelector):
    def select(self, timeout=None):
        if timeout is None:
            raise EverybodyWaitsError
        self.loop.now += max(timeout, 0.0)
        return super().select(0)


class HandLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.now = 1000.0
        selector = _Jump()
        selector.loop = self
        super().__init__(selector)

    def time(self):
        return self.now


def in_no_time(test):
    """Make a test of a coroutine function, on such a loop; whatever it leaves running is cancelled."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=HandLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run


async def turns(count=20):
    """Let everybody who can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


class Meter:
    """A meter that remembers what it was told."""

    def __init__(self):
        self.told = []

    def reconciled(self, kind, result, seconds):
        self.told.append((kind, result))

    def restarted(self, plural, cause):
        self.told.append((plural, cause))

    def called(self, verb, code):
        self.told.append((verb, code))
