"""A real MLflow server, and a gate before it that a test opens, closes, leaves silent or locks."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.kube.waiting import wait_until

_NOT_PASSED_ON = {"connection", "transfer-encoding", "content-length", "host"}


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run MLflow's own server on a database in `folder`; give its address."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "mlflow.log").open("ab") as log:
        server = subprocess.Popen(
            [*command, *stores], stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        assert server.poll() is None, (folder / "mlflow.log").read_text()
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            return bool(urllib.request.urlopen(f"{address}/health", timeout=5).status == 200)
        return False

    try:
        wait_until("MLflow is up", is_up, 200)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


class Gate:
    """Passes requests on to a server while it is open, on an address that stays the same."""

    def __init__(self, server: str, host: str = "127.0.0.1") -> None:
        self.server, self._host = server, host
        with socket.create_server((host, 0)) as found:
            self.port = found.getsockname()[1]
        self.address = f"http://{host}:{self.port}"
        self.password = ""
        self.answered: list[str] = []
        """Method and path of what was answered, in order."""
        self.points: list[tuple[str, str, int]] = []
        """Run, key and step of every metric that the server was made to store: it hides what it is told twice."""
        self.before: Callable[[str], None] = lambda request: None
        """Called with method and path when a request has come in."""
        self.after: Callable[[str], bool] = lambda request: True
        """Called when the server has done it; False loses the answer."""
        self._http: ThreadingHTTPServer | None = None

    def open(self) -> None:
        """Let requests in; before this the connection is refused."""
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def do_GET(self) -> None:
                gate._pass_on(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._http = ThreadingHTTPServer((self._host, self.port), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def shut(self) -> None:
        """Refuse connections."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def _pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        request = f"{handler.command} {handler.path.partition('?')[0]}"
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.before(request)
        wanted = "Basic " + base64.b64encode(self.password.encode()).decode()
        if self.password and handler.headers.get("Authorization") != wanted:
            handler.send_response(401)
            handler.end_headers()
            handler.wfile.write(b"You are not authenticated.")
            return
        connection = http.client.HTTPConnection(self.server.removeprefix("http://"), timeout=60)
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _NOT_PASSED_ON}
        connection.request(handler.command, handler.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if request.endswith("/runs/log-batch") and answer.status == 200:
            batch = json.loads(body)
            self.points += [(batch["run_id"], each["key"], int(each["step"])) for each in batch.get("metrics", ())]
        if not self.after(request):
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        self.answered.append(request)
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_PASSED_ON:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
