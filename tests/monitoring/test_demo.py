"""`make monitor-demo` says what it needs, and its Prometheus reads the charts' rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from monitoring import demo
from monitoring.client import PrometheusError
from monitoring.server import Prometheus
from tests.monitoring.observed import PROMETHEUS, free_port, needs_prometheus


def test_without_a_prometheus_it_says_where_to_get_one(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert demo.main(["job.yaml"]) == 2
    assert "scripts/prepare_monitoring.sh" in capsys.readouterr().err


@needs_prometheus
def test_its_prometheus_has_every_rule_of_the_charts(tmp_path: Path) -> None:
    assert PROMETHEUS is not None
    with Prometheus(PROMETHEUS, tmp_path, free_port(), {}, demo.RULES) as prometheus:
        # Both are pending from the first evaluation on, as nothing is scraped.
        for alert in ("FedwardHubOperatorMissing", "FedwardGatewayMissing"):
            asked = f'ALERTS{{alertname="{alert}"}}'
            prometheus.wait(lambda asked=asked: bool(prometheus.client.ask(asked)), 30, f"{alert} is not evaluated")


@needs_prometheus
def test_a_prometheus_that_does_not_start_says_why(tmp_path: Path) -> None:
    assert PROMETHEUS is not None
    broken = tmp_path / "rules.yaml"
    broken.write_text("groups: nonsense\n")
    with pytest.raises(PrometheusError, match=r"Prometheus has ended(.|\n)*rules.yaml"):
        Prometheus(PROMETHEUS, tmp_path / "data", free_port(), {}, [broken])
