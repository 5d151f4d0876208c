"""Draws the pictures of docs/monitoring.md: `python -m tests.monitoring.draw`; takes minutes of a live federation."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from monitoring.pictures.page import draw_page
from monitoring.reading import read
from tests.monitoring.observed import VARIABLES, observe

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = {
    "federation": ("fedward-hub/dashboards/federation.json", {"job_namespace": ".*"}),
    "job": ("fedward-hub/dashboards/job.json", {}),
    "site": ("fedward-site/dashboards/site.json", {"site": "north", "job_namespace": ".*", "job_name": ".*"}),
}
_TROUBLE_S, _LOOK_S = 25.0, 20.0
"""How long all is well, and for how long a hospital's updates have then been refused."""


def main(folder: Path) -> None:
    settings = ("rounds.deadline=8s", "rounds.grace=0s")
    with tempfile.TemporaryDirectory() as made, observe(Path(made), *settings) as observed:
        observed.wait_for("fedward_aggregator_round > 0")
        begin = time.time()
        time.sleep(_TROUBLE_S)
        observed.federation.spoil("spoil-west")
        time.sleep(_LOOK_S)
        for name, (path, chosen) in DASHBOARDS.items():
            picture = folder / f"dashboard-{name}.png"
            draw_page(read(ROOT / "charts" / path), observed.client, VARIABLES | chosen, (begin, time.time()), picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/images")
