"""A hospital's HTTP proxy for tests: tinyproxy, which opens tunnels for whoever knows its password."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

from tests.kube.waiting import wait_until

PROGRAM = shutil.which("tinyproxy", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
MISSING = "no tinyproxy: install the package of that name"

USER, PASSWORD = "north", "7tunnels"
REFUSED = {"": 407, f"{USER}:guessed": 401}
"""What this proxy answers to whom it does not know; others answer 407 to both."""


class Tinyproxy:
    """A proxy that can die and come back at the same address."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self._port}"
        self._settings, self._log = folder / "tinyproxy.conf", folder / "tinyproxy.log"
        self._settings.write_text(
            f"Port {self._port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\nLogLevel Info\n"
            f'LogFile "{self._log}"\nBasicAuth {USER} {PASSWORD}\n'
        )
        self._process: subprocess.Popen[bytes] | None = None

    def environment(self, login: str = f"{USER}:{PASSWORD}", spared: str = "") -> dict[str, str]:
        """Return what a process is told of this proxy, in place of all that it inherits."""
        silent = dict.fromkeys(
            ("https_proxy", "http_proxy", "HTTP_PROXY", "grpc_proxy", "no_proxy", "no_grpc_proxy"), ""
        )
        return {**silent, "HTTPS_PROXY": f"http://{login}{'@' if login else ''}{self.address}", "NO_PROXY": spared}

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        assert PROGRAM is not None
        self._process = subprocess.Popen([PROGRAM, "-d", "-c", str(self._settings)])
        wait_until("the proxy listens", self._listens, 10)

    def kill(self) -> None:
        """End it at once, and every tunnel with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def requests(self) -> list[str]:
        """Return what it was asked for, in order."""
        log = self._log.read_text() if self._log.exists() else ""
        return re.findall(r"Request \(file descriptor \d+\): (\S+ \S+)", log)

    def _listens(self) -> bool:
        with socket.socket() as trying:
            return trying.connect_ex(("127.0.0.1", self._port)) == 0
