"""Connections to look at: TCP, through a proxy where one stands on the way, TLS on top, and one question over it."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

from fedward_protocol.proxy import Proxy, proxy_to

LIMIT_S = 10.0
"""For each step: what takes longer does not work."""

_MOST_BYTES = 16 << 20


class ProxyRefusedError(Exception):
    """The proxy does not lead there; the message is its own words."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and which proxy stands before it."""

    host: str
    port: int
    proxy: Proxy | None = None

    @classmethod
    def direct(cls, address: str) -> Server:
        """Read host:port of something that is reached without a proxy."""
        host, _, port = address.rpartition(":")
        return cls(host.strip("[]"), int(port))

    @classmethod
    def behind(cls, address: str, environment: Mapping[str, str]) -> Server:
        """Read host:port of something that lies outside.

        Raises:
            ProxyError: the environment names a proxy that cannot be used.
        """
        found = cls.direct(address)
        return cls(found.host, found.port, proxy_to(found.host, found.port, environment))

    @property
    def address(self) -> str:
        """Its host:port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def dialled(self) -> Server:
        """What a connection is made to: the proxy where there is one."""
        return self if self.proxy is None else Server.direct(self.proxy.address.removeprefix("http://"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server has answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def connect(server: Server) -> Iterator[socket.socket]:
    """Connect, and be led on by the proxy.

    Raises:
        OSError: nobody answers, or its name is not known (socket.gaierror).
        ProxyRefusedError.
    """
    dialled = server.dialled
    with socket.create_connection((dialled.host, dialled.port), LIMIT_S) as stream:
        if server.proxy is not None:
            _be_led(stream, server, server.proxy)
        yield stream


@contextmanager
def secure(server: Server, context: ssl.SSLContext, name: str) -> Iterator[ssl.SSLSocket]:
    """Connect with TLS to the server of that name.

    Raises:
        ssl.SSLError, OSError, ProxyRefusedError.
    """
    with connect(server) as stream, context.wrap_socket(stream, server_hostname=name) as secured:
        yield secured


def ask(stream: socket.socket, host: str, path: str, token: str | None = None) -> Answer:
    """Ask for a path over HTTP.

    Raises:
        OSError: the connection broke.
        http.client.HTTPException: it is no HTTP.
    """
    headers = {"Accept": "application/json, text/plain", "User-Agent": "fedward-check", "Connection": "close"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    with closing(http.client.HTTPConnection(host)) as connection:
        connection.sock = stream
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.headers), answer.read(_MOST_BYTES))


def _be_led(stream: socket.socket, server: Server, proxy: Proxy) -> None:
    lines = [f"CONNECT {server.address} HTTP/1.1", f"Host: {server.address}"]
    lines += [f"{name}: {value}" for name, value in proxy.headers.items()]
    stream.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    try:
        with closing(http.client.HTTPResponse(stream, method="CONNECT")) as answer:
            answer.begin()
            if answer.status != http.HTTPStatus.OK:
                raise ProxyRefusedError(f"{answer.status} {answer.reason}".strip())
    except http.client.HTTPException as error:
        raise ProxyRefusedError(f"no HTTP ({error!r})") from error
