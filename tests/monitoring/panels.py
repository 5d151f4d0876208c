"""Which panels of the dashboards have nothing to show of a federation in good health, and which alerts it may wake."""

from __future__ import annotations

from pathlib import Path

from monitoring.client import Client
from monitoring.reading import read
from tests.monitoring.observed import VARIABLES

CHARTS = Path(__file__).resolve().parents[2] / "charts"
DASHBOARDS = {path.stem: read(path) for path in sorted(CHARTS.glob("*/dashboards/*.json"))}
HERE = VARIABLES | {"site": "north"}
"""What is chosen on a hospital's dashboard."""

EMPTY = {"What is wrong", "GPU load", "GPU memory"}
"""Nothing is wrong, and no GPU is here."""
PASSING = {"Speed", "Waiting for data"}
"""Said only while a trainer trains, which is not all the time."""
FULL_DISKS = {"FedwardAggregatorStorageLow", "FedwardGatewayStorageLow"}
"""May be true of the machine that the test runs on."""


def empty_panels(client: Client, name: str) -> list[str]:
    """Name the panels of a dashboard, with the query, that show nothing now and should."""
    variables = HERE if name == "site" else VARIABLES
    return [
        f"{panel.title}: {target.expression}"
        for panel in DASHBOARDS[name].panels
        for target in panel.targets
        if panel.title not in EMPTY | PASSING and not client.ask(target.filled(variables))
    ]
