"""Each panel of each dashboard shows what it should of a federation in good health, asked of a real Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from monitoring.client import Series
from monitoring.pictures.page import draw_page
from monitoring.reading import Dashboard
from PIL import Image
from tests.monitoring.federation import SITES, STEADY_S, Federation
from tests.monitoring.observed import VARIABLES, Observed, needs_prometheus, observe
from tests.monitoring.panels import DASHBOARDS, FULL_DISKS, HERE, PASSING, empty_panels

pytestmark = [pytest.mark.process, pytest.mark.timeout(240), needs_prometheus]

PER_SITE = {
    "federation": {"Hospitals"},
    "job": {
        "Score by site",
        "Training loss",
        "Slowest sites",
        "What each site does",
        "Rounds behind",
        "Progress",
        "Received by site",
        "Times lost",
        "Privacy spent",
        "Weight",
        "Sites",
    },
    "site": set(),
}


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    with observe(Federation(tmp_path_factory.mktemp("healthy"), step_s=STEADY_S)) as made:
        # A rate takes two scrapes of a counter that exists, and a histogram a closed round.
        made.wait_for("fedward_aggregator_round > 3 and on () fedward_gateway_filter_seconds_count > 2")
        made.wait_for("count_over_time(fedward_aggregator_sent_bytes_total[10s]) > 5")
        yield made


def test_every_part_is_scraped(observed: Observed) -> None:
    up = {series.labels["job"]: series.value for series in observed.ask("up")}
    assert up == dict.fromkeys(
        ("aggregator", "operator-hub", *(f"{part}-{site}" for part in ("gateway", "operator") for site in SITES)), 1
    )


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_has_something_to_show(observed: Observed, name: str) -> None:
    assert empty_panels(observed.client, name) == []


@pytest.mark.parametrize("title", sorted(PASSING))
def test_what_is_said_while_a_trainer_trains_is_shown_then(observed: Observed, title: str) -> None:
    observed.wait_for(DASHBOARDS["site"].panel(title).targets[0].filled(HERE))


@pytest.mark.parametrize(
    ("name", "title"), [(name, title) for name, titles in PER_SITE.items() for title in sorted(titles)]
)
def test_what_is_shown_by_site_is_shown_of_each_site_once(observed: Observed, name: str, title: str) -> None:
    for target in DASHBOARDS[name].panel(title).targets:
        sites = [series.labels["site"] for series in observed.ask(target.filled(VARIABLES))]
        assert sorted(sites) == sorted(SITES)


def test_the_worst_served_site_and_the_regions_are_told_apart(observed: Observed) -> None:
    def asked(title: str) -> list[Series]:
        return observed.ask(DASHBOARDS["job"].panel(title).targets[0].filled(VARIABLES))

    assert [series.labels["site"] for series in asked("Served worst")] == ["west"]
    parts = {"dice", "dice_et", "dice_tc", "dice_wt"}
    assert {series.labels["metric"] for series in asked("Score and its parts")} == parts
    assert len(asked("Score by site and part")) == 4 * len(SITES)


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_every_variable_offers_what_there_is(observed: Observed, dashboard: Dashboard) -> None:
    for name, query in dashboard.variables.items():
        series, _, label = query.removeprefix("label_values(").removesuffix(")").rpartition(", ")
        for variable, value in VARIABLES.items():
            series = series.replace(f"${variable}", value)
        assert label == name
        assert observed.client.values(label, series), query


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_dashboard_can_be_drawn(observed: Observed, name: str, tmp_path: Path) -> None:
    path, now = tmp_path / "page.png", time.time()
    draw_page(DASHBOARDS[name], observed.client, HERE, (now - 10, now), path)
    with Image.open(path) as picture:
        assert picture.width == 1440
        assert len(picture.convert("RGB").getcolors(1 << 16) or ()) > 20, "nothing is on it"


def test_no_alert_fires(observed: Observed) -> None:
    assert observed.client.firing() - FULL_DISKS == set()
