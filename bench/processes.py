"""What processes have used: CPU seconds, and the most anonymous memory that they held."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

SAMPLE_S = 0.02
"""How often memory is looked at: a chunk takes longer than that only on a machine that is busy with other things."""

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Give what a process has used of the processors so far, in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def anonymous_nbytes(pid: int) -> int:
    """Give a process' resident memory that is no file's: what a memory limit counts against it for good."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


@dataclass
class Watch:
    """Samples the memory of named processes in a thread for as long as it is entered."""

    pids: Mapping[str, int]
    peaks: dict[str, int] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def cpu(self, names: Iterable[str] | None = None) -> float:
        """Give the CPU seconds that the processes (or those named) have used so far."""
        return sum(cpu_seconds(self.pids[name]) for name in (self.pids if names is None else names))

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_S):
            for name, pid in self.pids.items():
                try:
                    self.peaks[name] = max(self.peaks.get(name, 0), anonymous_nbytes(pid))
                except (FileNotFoundError, ProcessLookupError):
                    continue
