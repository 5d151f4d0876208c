"""With 71 hospitals, 300 rounds and 1000 jobs, no panel draws more than somebody could look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bench.metrics import Job
from bench.metrics_operator import Scale, filled
from monitoring.client import Client
from monitoring.reading import read
from monitoring.server import Prometheus
from tests.monitoring.observed import PROMETHEUS, free_port, needs_prometheus

from fedward_operator.metrics import Metrics, hub
from fedward_protocol import probes

pytestmark = [pytest.mark.process, pytest.mark.timeout(180), needs_prometheus]

CHARTS = Path(__file__).resolve().parents[2] / "charts"
SITES, ROUNDS, JOBS = 71, 300, 1000
VARIABLES = {"job_namespace": "bench", "job_name": "bench", "metric": "dice", "site": ".*", "__rate_interval": "10s"}
MOST_LINES = SITES
"""A chart with a line for each hospital is the fullest; a variable picks some of them."""
MOST_CELLS = SITES * 5
"""A table has a row for each hospital, and a column for each region."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    assert PROMETHEUS is not None
    job, caches, operator = Job(SITES, ROUNDS), filled(Scale(JOBS, SITES)), Metrics("hub")
    job.run()
    operator.show(lambda: hub.jobs(caches))
    operator.show(lambda: hub.sites(caches, datetime.now(UTC)))
    with ExitStack() as stack:
        served = (
            stack.enter_context(probes.serve("127.0.0.1:0", registry, ready=lambda: None))
            for registry in (job.metrics.registry, operator.registry)
        )
        targets = {"hub": [f"127.0.0.1:{each.port}" for each in served]}
        folder = tmp_path_factory.mktemp("large")
        prometheus = stack.enter_context(Prometheus(PROMETHEUS, folder, free_port(), targets, every_s=5))
        prometheus.wait(
            lambda: len(prometheus.client.ask("count({__name__=~'fedward.+'}) by (instance)")) == len(targets["hub"]),
            60,
            "it is not scraped",
        )
        yield prometheus.client


@pytest.mark.parametrize("name", ["federation", "job"])
def test_no_panel_shows_more_than_one_can_look_at(client: Client, name: str) -> None:
    dashboard = read(CHARTS / f"fedward-hub/dashboards/{name}.json")
    everywhere = VARIABLES | {"job_namespace": ".*"} if name == "federation" else VARIABLES
    drawn = {
        f"{panel.title}: {target.expression}": (len(client.ask(target.filled(everywhere))), panel.kind)
        for panel in dashboard.panels
        for target in panel.targets
    }
    too_much = {
        what: count for what, (count, kind) in drawn.items() if count > (MOST_CELLS if kind == "table" else MOST_LINES)
    }
    assert max(count for count, _ in drawn.values()) > 40, "it is not the large federation"
    assert too_much == {}
