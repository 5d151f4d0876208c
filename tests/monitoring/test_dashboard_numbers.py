"""Panels that put several metrics together show the number that their words promise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from monitoring import files
from monitoring.reading import read
from tests.monitoring.promtool import needs_promtool, promtool

FEDERATION = read(files.ROOT / "charts/fedward-hub/dashboards/federation.json")


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


def assert_shows(title: str, shown: Mapping[str, Mapping[str, int]], number: int, folder: Path) -> None:
    """Ask a panel of one number, of metrics by site."""
    series = [
        {"series": f'{name}{{site="{site}"}}', "values": str(value)}
        for name, values in shown.items()
        for site, value in values.items()
    ]
    (target,) = FEDERATION.panel(title).targets
    asked = [{"expr": target.expression, "eval_time": "0m", "exp_samples": [{"labels": "{}", "value": number}]}]
    path = folder / "numbers.yaml"
    path.write_text(yaml.safe_dump({"tests": [{"input_series": series, "promql_expr_test": asked}]}))
    promtool("test", "rules", path)
