"""How SIGTERM ends a process that is waiting for a server."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class _Terminated(BaseException):
    """SIGTERM came: time is up."""


@contextmanager
def terminable() -> Iterator[type[BaseException]]:
    """Let SIGTERM end what runs inside, also within a request, by what this gives; another one changes nothing."""

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield _Terminated
    finally:
        signal.signal(signal.SIGTERM, before)
