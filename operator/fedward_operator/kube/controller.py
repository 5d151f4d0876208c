"""Takes keys from a queue and reconciles each, several at once; what fails is tried again, less and less often."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, Protocol, TypeVar

from fedward_operator.kube.backoff import Backoff
from fedward_operator.kube.errors import ApiError, UnavailableError
from fedward_operator.kube.queue import WorkQueue

_log = logging.getLogger(__name__)

_BACKOFF = Backoff(first=0.1, cap=60.0)

K = TypeVar("K", bound=Hashable)


class Reconciles(Protocol):
    """Told of each reconciliation: which kind, how it went, how long it took in seconds."""

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Count one."""
        ...


class Controller(Generic[K]):
    """Reconciles one kind."""

    def __init__(
        self,
        kind: str,
        reconcile: Callable[[K], Awaitable[float | None]],
        *,
        meter: Reconciles,
        chance: random.Random,
        workers: int = 16,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a controller.

        Args:
            kind: for metrics and logs.
            reconcile: makes one object right; returns after how many seconds to look again, None for when it changes.
            meter: is told of each.
            chance: spreads repetitions.
            workers: how many keys are in hand at once.
            clock: tells how old a key is, in seconds.
        """
        self.queue: WorkQueue[K] = WorkQueue(clock)
        self._kind, self._reconcile, self._meter, self._chance = kind, reconcile, meter, chance
        self._workers = workers
        self._failures: dict[K, int] = {}

    def is_busy(self) -> bool:
        """Tell whether more keys wait than are in hand."""
        return len(self.queue) > self._workers

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            key = await self.queue.take()
            began = loop.time()
            try:
                again = await self._reconcile(key)
            except (ApiError, UnavailableError) as error:
                result = "refused" if isinstance(error, ApiError) else "unavailable"
                self.queue.failed(key, self._later(key, error))
            except Exception:  # noqa: BLE001 one object that cannot be handled must not stop the others
                _log.exception("cannot reconcile", extra={"kind": self._kind, "key": _show(key)})
                result = "error"
                self.queue.failed(key, self._later(key, None))
            else:
                result = "done"
                self._failures.pop(key, None)
                self.queue.done(key)
                if again is not None:
                    self.queue.add_after(key, again)
            self._meter.reconciled(self._kind, result, loop.time() - began)

    def _later(self, key: K, error: ApiError | UnavailableError | None) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        wait = _BACKOFF.after(failures, self._chance)
        if isinstance(error, ApiError) and error.retry_after_s is not None:
            wait = max(wait, min(error.retry_after_s, _BACKOFF.cap))
        if error is not None and not (isinstance(error, ApiError) and error.is_conflict and failures == 1):
            extra = {"kind": self._kind, "key": _show(key), "error": str(error), "again_s": round(wait, 2)}
            _log.warning("cannot reconcile now", extra=extra)
        return wait


def _show(key: Hashable) -> str:
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
