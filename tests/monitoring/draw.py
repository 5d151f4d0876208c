"""Draws the pictures of docs/monitoring.md: `python -m tests.monitoring.draw`; takes as long as the demo, twice."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from monitoring.pictures.page import draw_page
from monitoring.reading import read
from tests.monitoring.federation import Run
from tests.monitoring.observed import VARIABLES, Observed, observe

ROOT = Path(__file__).resolve().parents[2]
FEDWARD = (sys.executable, "-m", "fedward_cli.main")
DASHBOARDS = {
    "federation": ("fedward-hub/dashboards/federation.json", {"job_namespace": ".*"}),
    "job": ("fedward-hub/dashboards/job.json", {}),
    "site": ("fedward-site/dashboards/site.json", {"site": "north", "job_namespace": ".*", "job_name": ".*"}),
}
_ROUNDS, _LAST = 10, 8
"""How many there are, and after which of them the pictures are drawn."""
_LONG_S = 1800.0
_FIRES = 'ALERTS{{alertname="{}",alertstate="firing"}}'


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        data, out = Path(made) / "data" / "phantom", Path(made) / "out"
        subprocess.run([*FEDWARD, "phantom", str(data)], check=True)
        job = Path(made) / "examples" / "brain-tumour.yaml"
        job.parent.mkdir()
        job.write_bytes((ROOT / "examples" / job.name).read_bytes())
        settings = ("--set", f"rounds.count={_ROUNDS}")
        with observe(Run(Path(made), out, [*FEDWARD, "run", str(job), "--out", str(out), *settings], {})) as observed:
            _draw(observed, folder)


def _draw(observed: Observed, folder: Path) -> None:
    begin = time.time()
    _follow(observed, f"fedward_aggregator_round > {_LAST}")
    observed.federation.freeze("trainer-west")
    # Its gateway takes the trainer to be there for a while, and to be cut off from the hub.
    _follow(observed, f"{_FIRES.format('FedwardSiteLost')} unless on () {_FIRES.format('FedwardGatewayCutOff')}")
    for name, (path, chosen) in DASHBOARDS.items():
        picture = folder / f"dashboard-{name}.png"
        draw_page(read(ROOT / "charts" / path), observed.client, VARIABLES | chosen, (begin, time.time()), picture)


def _follow(observed: Observed, until: str) -> None:
    """Let the hub's operator say what the aggregator says, as a real one does, until PromQL gives anything."""
    operators, deadline = observed.operators, time.monotonic() + _LONG_S
    while not observed.ask(until) and time.monotonic() < deadline:
        for series in observed.ask("fedward_aggregator_round"):
            operators.round, operators.rounds = int(series.value), _ROUNDS
        for series in observed.ask('fedward_aggregator_metric{metric="dice"}'):
            operators.score = series.value
        time.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/images")
