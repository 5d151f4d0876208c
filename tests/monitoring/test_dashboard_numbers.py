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
    series = [
        {"series": f'{name}{{site="{site}"}}', "values": str(value)}
        for name, values in shown.items()
        for site, value in values.items()
    ]
    (target,) = FEDERATION.panel("GPUs offered").targets
    asked = [{"expr": target.expression, "eval_time": "0m", "exp_samples": [{"labels": "{}", "value": offered}]}]
    path = tmp_path / "numbers.yaml"
    path.write_text(yaml.safe_dump({"tests": [{"input_series": series, "promql_expr_test": asked}]}))
    promtool("test", "rules", path)
