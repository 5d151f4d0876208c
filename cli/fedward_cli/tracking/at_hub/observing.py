"""Observes a job on a thread of its own, since whoever logs it waits for a server meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from fedward_cli.local.history import History
from fedward_protocol.repeats import Repeats
from fedward_protocol.wire import federation_pb2 as pb

_STOPS_WITHIN_S = 2.0

_log = logging.getLogger(__name__)


class Listener:
    """Writes down what the aggregator at this address says, and logs once that nothing is heard of it."""

    def __init__(self, address: str, history: History) -> None:
        self._address, self._history, self._repeats = address, history, Repeats()
        self._is_missed = False
        self.trouble: str | None = f"the aggregator at {address} has not been heard yet"
        """Why nobody knows yet what there is; it may be away later on, when there is nothing new."""

    def take(self, observation: pb.Observation) -> None:
        """Take in an observation."""
        self._history.take(observation)
        # They are in the folder's files, and nobody here asks for them again: a long job's would fill the memory.
        self._history.records.clear()
        self.trouble = None
        if self._is_missed:
            _log.info("the aggregator is heard again", extra={"aggregator": self._address})
            self._is_missed = False
            self._repeats.over()

    def missed(self, why: str) -> None:
        """Take it that a connection came to nothing, or broke off."""
        self._is_missed = True
        if self._repeats.is_news(why):
            _log.warning("the aggregator cannot be heard", extra={"aggregator": self._address, "why": why})


class Observing:
    """Runs a coroutine on a thread of its own; closes as a context manager."""

    def __init__(self, observe: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._observe = observe
        self._begun = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="observing", daemon=True)

    def goes_on(self) -> bool:
        """Tell whether there is more to come; what went wrong on the thread is raised here."""
        if self._thread.is_alive():
            return True
        if self._error is not None:
            raise self._error
        return False

    def __enter__(self) -> Self:
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # It may have ended by itself this very moment.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(_STOPS_WITHIN_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._begin())
        except asyncio.CancelledError:
            pass  # nobody looks any more
        except BaseException as error:  # noqa: BLE001 - raised again where somebody looks
            self._error = error

    async def _begin(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._begun.set()
        await self._observe()
