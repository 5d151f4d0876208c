"""Watches a run from outside: once the run's own process is gone, kills the process groups that it had started.

Run as a program of its own, with a pipe from the run as standard input: `+PID` says that a group has started, `-PID`
that it has ended. The pipe closes when the run ends, however it ends. It imports nothing of Fedward's, so as to be up
at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main() -> None:
    """Keep the list of groups until the pipe closes, then kill what is still on it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        (groups.add if line.startswith(b"+") else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
