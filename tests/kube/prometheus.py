"""A Prometheus that asks Kubernetes what to scrape, and reaches the pods of a cluster without machines by a proxy."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from monitoring.client import Client
from tests.kube.component import Component
from tests.kube.control_plane import free_ports
from tests.kube.prometheus_operator import MOUNTED, Written

_START_S = 30.0
_FILLED_IN = {"$(SHARD)": "0", "$(POD_NAME)": "prometheus-k8s-0"}
"""What the operator's reloader beside a Prometheus puts in place of its pod's environment."""


class Prometheus:
    """A running server; `client` asks it. Ends as a context manager.

    Args:
        binaries: where it and promtool are.
        folder: where it keeps everything; not there yet.
        written: what it is started with.
        proxy: the address of what leads it to pods.

    Raises:
        RuntimeError: promtool finds something wrong in what was written, and says what.
        ComponentError: it does not start.
    """

    def __init__(self, binaries: Path, folder: Path, written: Written, proxy: str) -> None:
        configuration = lay(folder, written, proxy)
        check(binaries, "config", configuration)
        (port,) = free_ports(1)
        self.client = Client(f"127.0.0.1:{port}")
        self._process = Component(
            [
                *(binaries / "prometheus", f"--config.file={configuration}"),
                *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"),
            ],
            folder / "prometheus.log",
        )
        try:
            self._process.wait_until(self.client.is_ready, _START_S)
        except BaseException:
            self._process.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def rules(self) -> dict[str, str]:
        """Give what its evaluation came to, by the alert's name: `ok`, `unknown` before it was, or what went wrong."""
        with urllib.request.urlopen(f"http://{self.client.address}/api/v1/rules", timeout=_START_S) as answer:
            groups = json.loads(answer.read())["data"]["groups"]
        return {rule["name"]: rule.get("lastError") or rule["health"] for group in groups for rule in group["rules"]}


def lay(folder: Path, written: Written, proxy: str = "") -> Path:
    """Write all of it into a folder, in place of the one where a pod has it, and return the configuration's path."""
    for path, content in written.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "prometheus.yaml"
    text = yaml.safe_dump(_led(written.configuration, proxy) if proxy else dict(written.configuration))
    for theirs, here in ((f"{MOUNTED}/", f"{folder}/"), *_FILLED_IN.items()):
        text = text.replace(theirs, here)
    configuration.write_text(text)
    return configuration


def _led(configuration: Mapping[str, Any], proxy: str) -> dict[str, Any]:
    return {
        **configuration,
        "scrape_configs": [{**each, "proxy_url": proxy} for each in configuration["scrape_configs"]],
    }


def check(binaries: Path, what: str, *paths: Path) -> str:
    """Let promtool check a configuration, with the files that it names, or rules; return what it said.

    Raises:
        RuntimeError: it finds something wrong.
    """
    command = [str(binaries / "promtool"), "check", what, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout
