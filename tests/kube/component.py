"""One process of a test cluster: started, waited for, ended; its log's tail is in the error when it dies."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_STOP_S = 10.0
_POLL_S = 0.05
_TAIL = 2000


class ComponentError(Exception):
    """A component died, or was not ready in time."""


class Component:
    """A process that this object started, and ends."""

    def __init__(self, command: Sequence[str | Path], log: Path, name: str | None = None) -> None:
        self.name, self._log = name or Path(command[0]).name, log
        with log.open("ab") as output:
            self._process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def wait_until(self, is_ready: Callable[[], bool], seconds: float) -> None:
        """Wait until it is ready.

        Raises:
            ComponentError: it died, or took longer.
        """
        ends_at = time.monotonic() + seconds
        while not is_ready():
            if self._process.poll() is not None:
                raise ComponentError(f"{self.name} ended with {self._process.returncode}:\n{self._tail()}")
            if time.monotonic() > ends_at:
                raise ComponentError(f"{self.name} was not ready within {seconds:g} s:\n{self._tail()}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it as the kernel does."""
        self._process.kill()
        self._process.wait()

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-_TAIL:]
