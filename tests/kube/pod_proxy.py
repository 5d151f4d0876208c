"""An HTTP proxy that leads to pods: where no machine runs them, each of their addresses is led to one that answers."""

from __future__ import annotations

import http.client
import shutil
import socket
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

_PATIENCE_S = 10
_CHUNK = 65536


class PodProxy:
    """A running proxy; ends as a context manager.

    Args:
        ways: by the address of a pod (host:port), the one on this machine that answers for it. Who asks for another
            is told 502: nothing leaves this machine.
    """

    def __init__(self, ways: Mapping[str, str]) -> None:
        handler = type("Handler", (_Handler,), {"ways": ways})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    ways: Mapping[str, str]

    def do_GET(self) -> None:
        """Hand on a request in the clear."""
        asked = urlsplit(self.path)
        way = self._way(asked.netloc)
        if way is None:
            return
        connection = http.client.HTTPConnection(way, timeout=_PATIENCE_S)
        try:
            connection.request("GET", asked.path, headers=dict(self.headers.items()))
            answer = connection.getresponse()
            body = answer.read()
        except OSError as error:
            self.send_error(HTTPStatus.BAD_GATEWAY, str(error))
            return
        finally:
            connection.close()
        self.send_response(answer.status)
        for name in ("Content-Type", "Content-Encoding"):
            if value := answer.headers.get(name):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        """Join two connections, whose words are not understood here."""
        way = self._way(self.path)
        if way is None:
            return
        host, _, port = way.rpartition(":")
        with socket.create_connection((host, int(port)), _PATIENCE_S) as there:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            back = threading.Thread(target=_pour, args=(there, self.connection), daemon=True)
            back.start()
            _pour(self.connection, there)
            back.join()

    def _way(self, address: str) -> str | None:
        found = self.ways.get(address)
        if found is None:
            self.send_error(HTTPStatus.BAD_GATEWAY, f"no pod has {address}")
        return found

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it so)
        """Say nothing."""


def _pour(source: socket.socket, target: socket.socket) -> None:
    with source.makefile("rb", 0) as incoming, target.makefile("wb", 0) as outgoing:
        try:
            shutil.copyfileobj(incoming, outgoing, _CHUNK)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return  # one of them has gone
