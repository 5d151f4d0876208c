"""Real servers to look at: web servers with TLS and a clock of their own, a CONNECT proxy, one that hangs up."""

from __future__ import annotations

import json
import select
import socket
import socketserver
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fedward_operator.checks.connection import Server


class _Running:
    """Serves in a thread until closed."""

    def __init__(self, server):
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self):
        return self._server.server_address[1]

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def there(self):
        return Server.direct(self.address)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Web(_Running):
    """Answers by path with a status and a body, and says the time by a clock that is off."""

    def __init__(self, folder, answers, credentials, off, port):
        self.asked = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                web.asked.append((self.path, self.headers.get("Authorization")))
                status, body = web.answers.get(self.path.partition("?")[0], (404, {"message": "not here"}))
                content = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def date_time_string(self, timestamp=None):
                return super().date_time_string(time.time() + off.total_seconds())

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """Clients that do not trust us hang up, and are meant to."""

        self.answers = answers
        server = Quiet(("127.0.0.1", port), Handler)
        if credentials is not None:
            credentials.write(folder)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
            # The handshake belongs to a connection's own thread.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        super().__init__(server)


class Proxy(_Running):
    """Opens tunnels for those who show the right header, and remembers what it was asked for."""

    def __init__(self, login=None):
        self.asked = []
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                first = self.rfile.readline().decode()
                headers = dict(line.split(": ", 1) for line in iter(lambda: self.rfile.readline().decode().strip(), ""))
                proxy.asked.append(first.split()[1])
                if login is not None and headers.get("Proxy-Authorization") != login:
                    self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                    return
                host, _, port = first.split()[1].rpartition(":")
                with socket.create_connection((host, int(port)), 5) as behind:
                    self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    _splice(self.connection, behind)

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address = True, True

            def handle_error(self, *_):
                """A tunnel ends when either side goes."""

        super().__init__(Threads(("127.0.0.1", 0), Handler))


class HangsUp(_Running):
    """Takes connections and ends them, as the door does with a name that is nobody's."""

    def __init__(self):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.recv(1024)

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address = True, True

        super().__init__(Threads(("127.0.0.1", 0), Handler))


def _splice(one, other):
    to = {one: other, other: one}
    while True:
        for ready in select.select([one, other], [], [], 5)[0] or [None]:
            data = ready.recv(65536) if ready else b""
            if not data:
                return
            to[ready].sendall(data)
