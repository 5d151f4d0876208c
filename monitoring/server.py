"""A Prometheus of one's own on this machine: started over a few addresses, and ended."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from monitoring.client import Client, PrometheusError

HOST = "127.0.0.1"
_START_S = 30.0
_POLL_S = 0.1
_STOP_S = 10.0


class Prometheus:
    """A running server; `client` asks it. Ends as a context manager."""

    def __init__(
        self,
        binary: str,
        folder: Path,
        port: int,
        targets: Mapping[str, Iterable[str]],
        rules: Sequence[Path] = (),
        *,
        every_s: int = 1,
    ) -> None:
        """Start it, and wait until it answers.

        Args:
            binary: the program.
            folder: where it keeps everything; made if it is not there.
            port: a free TCP port.
            targets: by Prometheus' `job`, the addresses (host:port) whose /metrics it reads.
            rules: rule files.
            every_s: seconds between two scrapes of a target, and between two evaluations of the rules.

        Raises:
            PrometheusError: it does not start.
        """
        folder.mkdir(parents=True, exist_ok=True)
        configuration = folder / "prometheus.yaml"
        configuration.write_text(yaml.safe_dump(_configuration(targets, rules, every_s)), encoding="utf-8")
        self.client, self._log = Client(f"{HOST}:{port}"), folder / "prometheus.log"
        arguments = [
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={HOST}:{port}",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([binary, *arguments], stdout=log, stderr=log)  # noqa: S603 - as named
        try:
            self.wait(self.client.is_ready, _START_S, "Prometheus does not answer")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{self.client.address}"

    def close(self) -> None:
        """End it, and wait for the end."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self, is_so: Callable[[], bool], at_most_s: float, otherwise: str) -> None:
        """Ask until something is so.

        Raises:
            PrometheusError: it has ended, or `at_most_s` seconds are over; the message is `otherwise`.
        """
        deadline = time.monotonic() + at_most_s
        while not is_so():
            if self._process.poll() is not None:
                raise PrometheusError(f"Prometheus has ended:\n{self._log.read_text(encoding='utf-8')[-2000:]}")
            if time.monotonic() > deadline:
                raise PrometheusError(otherwise)
            time.sleep(_POLL_S)


def _configuration(targets: Mapping[str, Iterable[str]], rules: Sequence[Path], every_s: int) -> dict[str, Any]:
    scrapes = [
        {"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()
    ]
    often = {"scrape_interval": f"{every_s}s", "scrape_timeout": f"{every_s}s", "evaluation_interval": f"{every_s}s"}
    return {"global": often, "rule_files": [str(path) for path in rules], "scrape_configs": scrapes}
