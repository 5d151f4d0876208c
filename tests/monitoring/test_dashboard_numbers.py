"""Panels that put several metrics together show the number that their words promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from monitoring import files
from monitoring.reading import Dashboard, read
from tests.monitoring.promtool import needs_promtool, promtool

FEDERATION, JOB = (read(files.ROOT / f"charts/fedward-hub/dashboards/{name}.json") for name in ("federation", "job"))
SITE = read(files.ROOT / "charts/fedward-site/dashboards/site.json")


@needs_promtool
@pytest.mark.parametrize(
    ("connected", "offered"),
    [({"north": 1, "south": 1}, 6), ({"north": 1, "south": 0}, 4), ({"north": 0, "south": 0}, 0)],
    ids=["both are heard", "one is away", "all are away"],
)
def test_gpus_of_hospitals_that_are_away_are_not_offered(
    connected: Mapping[str, int], offered: int, tmp_path: Path
) -> None:
    shown = {"fedward_operator_site_gpus": {"north": 4, "south": 2}, "fedward_operator_site_connected": connected}
    assert_shows("GPUs offered", shown, offered, tmp_path)


@needs_promtool
@pytest.mark.parametrize(
    ("connected", "heard", "silent"),
    [({"north": 1, "south": 0}, {"north": 9, "south": 9}, 1), ({"north": 1, "south": 0}, {"north": 9}, 0)],
    ids=["one is away", "one was only invited"],
)
def test_a_hospital_that_never_came_is_no_problem(
    connected: Mapping[str, int], heard: Mapping[str, int], silent: int, tmp_path: Path
) -> None:
    shown = {
        "fedward_operator_site_connected": connected,
        "fedward_operator_site_last_seen_timestamp_seconds": heard,
        "fedward_operator_site_revoked": dict.fromkeys(connected, 0),
    }
    assert_shows("Sites not heard", shown, silent, tmp_path)


SCRAPES_AN_HOUR = 120
COURSES = {
    "none": ([], 0),
    "one, where there was none": (["_x240 1x60"], 1),
    "one, seen once": (["_x290 1x10"], 1),
    "three, one by one, where there was none": (["_x240 1x9 2x9 3x40"], 3),
    "two of one reason and one of another": (["_x240 2x60", "_x280 1x20"], 3),
    "one more than before": (["7x280 8x20"], 1),
    "one, after a restart": (["7x280 1x20"], 1),
    "none but long ago": (["7x300"], 0),
    "none but long ago, of which nothing was seen for two hours": (["7x20 _x240 7x40"], 0),
}
"""What was counted, scrape by scrape over two and a half hours, and how much of it within the last hour."""


@needs_promtool
@pytest.mark.parametrize(("courses", "number"), COURSES.values(), ids=COURSES)
@pytest.mark.parametrize(
    ("dashboard", "counter"),
    [(FEDERATION, "fedward_aggregator_refusals_total"), (SITE, "fedward_gateway_refusals_total")],
    ids=["federation", "site"],
)
def test_refusals_of_the_last_hour_are_all_counted_and_no_older_ones(
    dashboard: Dashboard, counter: str, courses: Sequence[str], number: int, tmp_path: Path
) -> None:
    series = {
        f'{counter}{{job_namespace="research",job_name="brain",site="north",reason="Reason{of}"}}': values
        for of, values in enumerate(courses)
    }
    assert_answers(dashboard, "Refusals, last hour", series, number, tmp_path, after_s=2.5 * 3600)


@pytest.mark.parametrize("dashboard", [FEDERATION, JOB, SITE], ids=["federation", "job", "site"])
def test_no_panel_asks_for_an_increase_that_does_not_see_a_series_begin(dashboard: Dashboard) -> None:
    asked = [target.expression for panel in dashboard.panels for target in panel.targets]
    assert not [each for each in asked if "increase(" in each and "unless last_over_time(" not in each]


def assert_shows(title: str, shown: Mapping[str, Mapping[str, int]], number: int, folder: Path) -> None:
    """Ask a panel of one number, of metrics by site."""
    series = {
        f'{name}{{site="{site}"}}': str(value) for name, values in shown.items() for site, value in values.items()
    }
    assert_answers(FEDERATION, title, series, number, folder, after_s=0)


def assert_answers(
    dashboard: Dashboard, title: str, series: Mapping[str, str], number: int, folder: Path, *, after_s: float
) -> None:
    """Ask a panel of one number, of series as promtool writes them, one value a scrape."""
    (target,) = dashboard.panel(title).targets
    asked = {
        "expr": target.filled({"site": "north"}),
        "eval_time": f"{after_s:.0f}s",
        "exp_samples": [{"labels": "{}", "value": number}],
    }
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": f"{3600 / SCRAPES_AN_HOUR:.0f}s", "input_series": given, "promql_expr_test": [asked]}
    path = folder / "numbers.yaml"
    path.write_text(yaml.safe_dump({"tests": [test]}))
    promtool("test", "rules", path)
