"""Processes that are kept running, restarted when they crash, stopped cleanly, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, cast

from fedward_cli.local import warden
from fedward_cli.local.commands import Command

STOP_GRACE_S = 10.0
"""From SIGTERM to SIGKILL: everything is resumable, so a process that takes longer loses nothing but time."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a restart: doubling from `first_s` to `cap_s`, drawn at random from its upper half."""

    limit: int
    first_s: float = 0.2
    cap_s: float = 10.0

    def delay_s(self, failures: int, draw: float) -> float:
        """Give the wait after so many failures; `draw` is uniform in [0, 1)."""
        longest = min(self.cap_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return longest * (0.5 + draw / 2)


@dataclass(frozen=True, slots=True)
class Crash:
    """A process ended when it should not have; `restarts` says whether it will be tried again."""

    name: str
    code: int
    failures: int
    restarts: bool


class Supervisor:
    """Starts processes, each in a process group of its own, and sees to it that none outlives the run."""

    def __init__(
        self,
        backoff: Backoff,
        draw: Callable[[], float],
        on_crash: Callable[[Crash], None],
        stop_grace_s: float = STOP_GRACE_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._backoff, self._draw, self._on_crash, self._sleep = backoff, draw, on_crash, sleep
        self._stop_grace_s = stop_grace_s
        self._groups: set[int] = set()
        self._warden = subprocess.Popen(  # noqa: S603 - our own program
            # Isolated and without site-packages: it needs neither, and starts in a few milliseconds.
            [sys.executable, "-I", "-S", str(Path(warden.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        self._pipe = cast("IO[bytes]", self._warden.stdin)

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is still there now is there because something went wrong: the warden kills it once its pipe closes.
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()
        self._warden.wait()

    async def keep(self, command: Command, final: Collection[int] = (0,)) -> int:
        """Run a process until it ends with a `final` exit code, or has crashed more often than the limit allows.

        Cancelling this stops the process: SIGTERM, and SIGKILL to its whole group when the grace is over.

        Returns:
            The last exit code; negative for a signal.
        """
        failures = 0
        while True:
            code = await self._once(command)
            if code in final:
                return code
            failures += 1
            restarts = failures <= self._backoff.limit
            self._on_crash(Crash(command.name, code, failures, restarts))
            if not restarts:
                return code
            await self._sleep(self._backoff.delay_s(failures, self._draw()))

    def kill(self) -> None:
        """Kill every process now."""
        for group in tuple(self._groups):
            _signal_group(group, signal.SIGKILL)

    async def _once(self, command: Command) -> int:
        process = self._start(command)
        waiting = asyncio.ensure_future(_ended(process))
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            await self._stop(process, waiting)
            raise
        finally:
            # The process has ended and has not been reaped, so its group's number is still its own.
            _signal_group(process.pid, signal.SIGKILL)
            self._groups.discard(process.pid)
            process.wait()
            self._tell(f"-{process.pid}\n")
        return process.returncode

    def _start(self, command: Command) -> subprocess.Popen[bytes]:
        command.log.parent.mkdir(parents=True, exist_ok=True)
        with command.log.open("ab") as log:
            # Not asyncio's subprocess: this returns at once with the pid, so that the warden hears of it at once.
            process = subprocess.Popen(  # noqa: S603 - our own programs
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(command.environment),
                start_new_session=True,
            )
        self._tell(f"+{process.pid}\n")
        self._groups.add(process.pid)
        return process

    async def _stop(self, process: subprocess.Popen[bytes], waiting: asyncio.Future[None]) -> None:
        # To the process alone: its workers would die of it before it could stop them in order.
        os.kill(process.pid, signal.SIGTERM)
        done, _ = await asyncio.wait({waiting}, timeout=self._stop_grace_s)
        if not done:
            _signal_group(process.pid, signal.SIGKILL)
            await waiting

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._pipe.write(line.encode())


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Return when the process has ended, without reaping it where the system allows that."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    if not hasattr(os, "pidfd_open"):
        # Without pidfd (macOS) only a thread can wait; one each, because a pool could be too small for all.
        def wait() -> None:
            process.wait()
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=wait, daemon=True).start()
        await ended.wait()
        return
    handle = os.pidfd_open(process.pid)
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
