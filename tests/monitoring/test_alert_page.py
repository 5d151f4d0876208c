"""docs/alerts.md explains each alert, with the severity and the promise that the rule has, and no alert besides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from monitoring.alerts import hub, site
from monitoring.alerts.alert import RUNBOOK, Alert

ROOT = Path(__file__).resolve().parents[2]
ALERTS = (*hub.ALERTS, *site.ALERTS)
SECTIONS = dict(re.findall(r"^### (\w+)\n\n(.*?)(?=^##|\Z)", (ROOT / RUNBOOK).read_text(), re.MULTILINE | re.DOTALL))


def test_every_alert_has_its_heading_and_every_heading_its_alert() -> None:
    assert list(SECTIONS) == [alert.name for alert in ALERTS]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_page_promises_what_the_rule_does(alert: Alert) -> None:
    assert SECTIONS[alert.name].startswith(f"*{alert.severity.capitalize()}. Fires within {alert.promise}.*")


def test_the_page_names_the_alerts_that_look_at_a_jobs_score() -> None:
    (line,) = (line for line in (ROOT / RUNBOOK).read_text().splitlines() if "`evaluation.metric`" in line)
    assert set(re.findall(r"\[(Fedward\w+)\]", line)) == {
        alert.name for alert in ALERTS if "best_score" in alert.expression
    }


def test_who_shortens_the_life_of_certificates_is_told_from_where_on_alerts_fire_in_health() -> None:
    values = (ROOT / "charts/fedward-hub/values.yaml").read_text()
    days = {
        int(found[1])
        for alert in site.ALERTS
        if (
            found := re.search(r"(?:membership|certificate)_not_after\w+ - time\(\) < (\d+) \* 86400", alert.expression)
        )
    }
    # Renewed when a third of its life is left.
    (hours,) = {3 * 24 * each for each in days}
    assert f"({hours}h)" in values
    assert f"(`{hours}h`)" in (ROOT / RUNBOOK).read_text()
    assert int(yaml.safe_load(values)["sites"]["certificateLife"].removesuffix("h")) > hours


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_leads_to_its_section(alert: Alert) -> None:
    path, _, anchor = alert.rule()["annotations"]["runbook_url"].partition("#")
    assert (ROOT / path).is_file()
    assert anchor == alert.name.lower()
