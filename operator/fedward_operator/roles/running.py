"""What both roles' processes have in common: everything runs until one part of it ends, or we are told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fedward_operator.kube.controller import Controller
from fedward_operator.kube.election import Election
from fedward_operator.kube.informer import LONGEST_TURN_S, Informer

_log = logging.getLogger(__name__)

_TICK_S = 1.0
_HANGS_S = 30.0


class Health:
    """Whether the process still does its work; asked from another thread."""

    def __init__(
        self,
        informers: Sequence[Informer],
        is_deaf: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._informers, self._is_deaf, self._clock = informers, is_deaf, clock
        self._ticked = clock()
        self.obstacle: str | None = "starting"

    def ready(self) -> str | None:
        """Say why it cannot work yet."""
        return self.obstacle

    def alive(self) -> str | None:
        """Say why it has to be started anew."""
        now = self._clock()
        if now - self._ticked > _HANGS_S:
            return "the event loop hangs"
        silent = [each.kind.plural for each in self._informers if now - each.last_turn > LONGEST_TURN_S]
        if silent and self.obstacle is None:
            return f"nothing is heard of {', '.join(silent)}"
        return "Kopf does not hear our own kinds any more" if self._is_deaf() else None

    async def tick(self) -> None:
        """Show that the event loop turns, for ever."""
        while True:
            self._ticked = self._clock()
            await asyncio.sleep(_TICK_S)


async def won(election: Election, stop: asyncio.Event) -> bool:
    """Wait until the Lease is ours; False if told to stop before."""
    winning, stopping = asyncio.create_task(election.win()), asyncio.create_task(stop.wait())
    await asyncio.wait([winning, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if winning.done():
        winning.result()
        return True
    winning.cancel()
    await asyncio.gather(winning, return_exceptions=True)
    return False


async def after(synced: Sequence[asyncio.Event], controller: Controller[Any]) -> None:
    """Run a controller once all that it looks at is known."""
    for event in synced:
        await event.wait()
    await controller.run()


async def until_stopped(stop: asyncio.Event, work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run everything until told to stop.

    Raises:
        Exception: what ended one of them; none of them ends by itself.
    """
    gc.collect()
    gc.freeze()  # what was imported stays; looking through it again and again finds nothing
    tasks = [asyncio.create_task(each) for each in work]
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, stopping):
        task.cancel()
    await asyncio.gather(*tasks, stopping, return_exceptions=True)
    for task in done:
        if task is not stopping:
            task.result()
            if not stop.is_set():
                raise RuntimeError("a part of the operator has ended")
