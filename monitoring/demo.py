"""A local federation with a real Prometheus over it: `make monitor-demo`; Ctrl-C ends both."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from monitoring.client import PrometheusError
from monitoring.files import ROOT
from monitoring.server import HOST, Prometheus

RULES = (ROOT / "charts/fedward-hub/rules/fedward-hub.yaml", ROOT / "charts/fedward-site/rules/fedward-site.yaml")
_USUAL_PORT = 9090
_EVERY_S = 5
_SOME = (
    'fedward_aggregator_metric{metric="dice"}',
    'fedward_aggregator_site_metric{metric="dice"}',
    "fedward_aggregator_site_stage_seconds",
    "fedward_trainer_loss",
)
"""Questions about the demo that are worth a look."""


def main(arguments: list[str]) -> int:
    """Run `fedward run` with these arguments, and show it to Prometheus until Ctrl-C.

    Returns:
        What the run ended with; 2 where there is no Prometheus, or it does not start.
    """
    binary = shutil.which("prometheus")
    if binary is None:
        print(
            "There is no `prometheus` on the PATH; on Debian, as root: scripts/prepare_monitoring.sh", file=sys.stderr
        )
        return 2
    page = f"{HOST}:{_free_port(0)}"
    with tempfile.TemporaryDirectory(prefix="fedward-prometheus-") as folder:
        targets = {"fedward": [page]}
        try:
            prometheus = Prometheus(binary, Path(folder), _free_port(_USUAL_PORT), targets, RULES, every_s=_EVERY_S)
        except PrometheusError as error:
            print(error, file=sys.stderr)
            return 2
        with prometheus:
            print(_welcome(prometheus.url), flush=True)
            return _show(page, arguments)


def _show(page: str, arguments: list[str]) -> int:
    command = [sys.executable, "-m", "fedward_cli.main", "run", *arguments, "--metrics", page]
    # In a session of its own: at Ctrl-C it is told once, by us, as a second signal would kill its processes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with subprocess.Popen(command, start_new_session=True) as run:  # noqa: S603 - our own command
        try:
            run.wait()
            print("The run has ended. What Prometheus has seen stays until Ctrl-C.", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            run.send_signal(signal.SIGINT)
        return run.wait()


def _welcome(url: str) -> str:
    graphs = (f"{url}/graph?g0.tab=0&g0.expr={quote(expression)}" for expression in _SOME)
    lines = [
        ("Prometheus", url),
        ("alerts", f"{url}/alerts (a local run has no operators: those that miss them mean nothing here)"),
        ("Grafana", f"add {url} as a Prometheus data source, then import charts/*/dashboards/*.json"),
        *(("a graph", graph) for graph in graphs),
    ]
    return "\n".join(f"{name:<12}{text}" for name, text in lines) + "\n"


def _free_port(wanted: int) -> int:
    """Find a port that nobody listens on: the wanted one, or else any."""
    with socket.socket() as held:
        try:
            held.bind((HOST, wanted))
        except OSError:
            held.bind((HOST, 0))
        port: int = held.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
