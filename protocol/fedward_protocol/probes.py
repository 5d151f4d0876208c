"""What Kubernetes and Prometheus ask a process over HTTP: /healthz, /readyz and /metrics."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from fedward_protocol.scraping import ScrapedFolder, Secured

_TEXT = "text/plain; charset=utf-8"
_SILENT_CLIENT_S = 5.0
_ELSEWHERE = b"metrics are shown by mutual TLS only, at another port\n"

Answer = tuple[HTTPStatus, str, bytes]
"""Status, content type and body."""

_log = logging.getLogger(__name__)


class ListenError(OSError):
    """An address cannot be listened on; the message names it."""


class Probes:
    """A running probe server; closes as a context manager.

    Attributes:
        secured: the server of metrics by mutual TLS, where they are not shown here.
    """

    def __init__(self, server: ThreadingHTTPServer, secured: Probes | None = None) -> None:
        self._server, self.secured = server, secured
        # A thread of its own, so that a process whose event loop hangs still answers and is seen to be hanging.
        self._thread = threading.Thread(target=server.serve_forever, name="probes", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        return self._server.server_port

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and wait for the thread."""
        if self.secured is not None:
            self.secured.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(
    address: str,
    registry: CollectorRegistry,
    ready: Callable[[], str | None],
    alive: Callable[[], str | None] = lambda: None,
    secured: Secured | None = None,
) -> Probes:
    """Listen on `address` (host:port) and answer until closed.

    Args:
        address: host and port; port 0 lets the system choose.
        registry: what /metrics shows.
        ready: asked for each /readyz, from another thread; None means ready, a text says why not.
        alive: the same for /healthz; a text means that the process has to be started anew.
        secured: where metrics are shown by mutual TLS instead; /healthz and /readyz stay as they are.

    Raises:
        ListenError: an address is taken, or none of this machine.
        UnusableError: what secures the metrics cannot be used.
    """

    def metrics() -> Answer:
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)

    # Whoever starts the process may hold the port with a socket of its own that does not listen.
    encrypted = None
    if secured is not None:
        context = ScrapedFolder(secured.folder).context
        encrypted = serve_paths(secured.address, {"/metrics": metrics}, shares_port=True, context=context)
    paths: dict[str, Callable[[], Answer]] = {
        "/healthz": lambda: _answer(alive(), b"ok\n"),
        "/readyz": lambda: _answer(ready(), b"ready\n"),
        "/metrics": metrics if encrypted is None else lambda: (HTTPStatus.FORBIDDEN, _TEXT, _ELSEWHERE),
    }
    try:
        return serve_paths(address, paths, shares_port=True, secured=encrypted)
    except ListenError:
        if encrypted is not None:
            encrypted.close()
        raise


def serve_paths(
    address: str,
    paths: Mapping[str, Callable[[], Answer]],
    *,
    shares_port: bool,
    context: Callable[[], ssl.SSLContext] | None = None,
    secured: Probes | None = None,
) -> Probes:
    """Listen on `address` (host:port) and answer these paths until closed, each request on a thread of its own.

    Args:
        address: host and port; port 0 lets the system choose.
        paths: what answers each; asked from another thread.
        shares_port: whether another socket of the same user may be bound to the port as well.
        context: secures each connection, asked from another thread; in the clear where None.
        secured: another server that is closed with this one.

    Raises:
        ListenError: the address is taken, or none of this machine.
    """
    host, _, port = address.rpartition(":")

    class Handler(_Handler):
        answers: ClassVar = paths

    class Server(_Server):
        allow_reuse_port = shares_port
        securing = context

    try:
        return Probes(Server((host.strip("[]"), int(port)), Handler), secured)
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {error.strerror}") from error


def _answer(obstacle: str | None, fine: bytes) -> Answer:
    if obstacle is None:
        return HTTPStatus.OK, _TEXT, fine
    return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"{obstacle}\n".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    securing: ClassVar[Callable[[], ssl.SSLContext] | None] = None

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection on its own thread, where a handshake that takes long keeps nobody else waiting."""
        securing = type(self).securing
        if securing is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(_SILENT_CLIENT_S)
        try:
            stream = securing().wrap_socket(request, server_side=True)
        except (ssl.SSLError, TimeoutError) as error:
            _log.warning("a scraper was refused", extra={"peer": client_address[0], "why": str(error)})
            return
        with stream:
            super().finish_request(stream, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 (the base class asks for it)
        """Log what a request met, as everything is logged; a client that has gone away is nothing to log."""
        if not isinstance(sys.exception(), ConnectionError):
            _log.exception("a probe could not be answered")


class _Handler(BaseHTTPRequestHandler):
    answers: ClassVar[Mapping[str, Callable[[], Answer]]]
    timeout = _SILENT_CLIENT_S

    def do_GET(self) -> None:
        """Answer one of the three paths."""
        answer = self.answers.get(self.path.partition("?")[0])
        status, kind, body = answer() if answer else (HTTPStatus.NOT_FOUND, _TEXT, b"not found\n")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Name nobody's version to whoever scans for one."""
        return "fedward"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it so)
        """Say nothing: probes come every few seconds."""
