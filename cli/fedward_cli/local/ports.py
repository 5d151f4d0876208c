"""Ports reserved for processes that do not run yet, and kept for them while they restart."""

from __future__ import annotations

import socket
from types import TracebackType

HOST = "127.0.0.1"


class Ports:
    """Free ports of this machine, each held by a bound socket that does not listen.

    The sockets share their ports (SO_REUSEPORT) with the process that listens there later, and with nobody of another
    user; connections go only to sockets that listen.
    """

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def reserve(self) -> str:
        """Return a free address as host:port, held until this is closed."""
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((HOST, 0))
        self._held.append(held)
        return f"{HOST}:{held.getsockname()[1]}"

    def __enter__(self) -> Ports:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for held in self._held:
            held.close()
