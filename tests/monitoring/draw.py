"""Draws the pictures of docs/monitoring.md: `python -m tests.monitoring.draw`; takes minutes of a live federation."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from monitoring.pictures.page import draw_page
from monitoring.reading import read
from tests.monitoring.observed import STEADY_S, VARIABLES, Observed, observe

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = {
    "federation": ("fedward-hub/dashboards/federation.json", {"job_namespace": ".*"}),
    "job": ("fedward-hub/dashboards/job.json", {}),
    "site": ("fedward-site/dashboards/site.json", {"site": "north", "job_namespace": ".*", "job_name": ".*"}),
}
ROUNDS = 60
_WELL_S, _TROUBLE_S = 75.0, 35.0
"""How long all is well, and for how long a hospital's updates have then been refused."""


def main(folder: Path) -> None:
    settings = (f"rounds.count={ROUNDS}", "rounds.deadline=8s", "rounds.grace=0s")
    with tempfile.TemporaryDirectory() as made, observe(Path(made), *settings, step_s=STEADY_S) as observed:
        observed.wait_for("fedward_aggregator_round > 0")
        begin = time.time()
        _follow(observed, _WELL_S)
        observed.federation.spoil("spoil-west")
        _follow(observed, _TROUBLE_S)
        for name, (path, chosen) in DASHBOARDS.items():
            picture = folder / f"dashboard-{name}.png"
            draw_page(read(ROOT / "charts" / path), observed.client, VARIABLES | chosen, (begin, time.time()), picture)


def _follow(observed: Observed, seconds: float) -> None:
    """Let the hub's operator say for some time what the aggregator says, as a real one does."""
    observed.operators.rounds = ROUNDS
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        observed.operators.round = int(observed.ask("fedward_aggregator_round")[0].value)
        observed.operators.dice = observed.ask('fedward_aggregator_metric{metric="dice"} or vector(0)')[0].value
        time.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/images")
