"""No alert compares the clocks of two houses: at the hub all times are the hub's, at a hospital only dates count."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from monitoring.alerts import hub, site
from monitoring.alerts.alert import Alert

_OF_THE_SITE = re.compile(r"fedward_(?:gateway|trainer)_\w+|fedward_aggregator_\w*stage_seconds\w*|timestamp\(")
_INSTANT = re.compile(r"\bfedward_\w+_timestamp_seconds\b")
_BY_THE_HUBS_CLOCK = {
    "fedward_aggregator_round_deadline_timestamp_seconds",
    # When the hub's operator saw the Lease change, whatever the hospital's operator wrote into it.
    "fedward_operator_site_last_seen_timestamp_seconds",
}


def instants(alerts: Iterable[Alert]) -> set[str]:
    return {name for alert in alerts for name in _INSTANT.findall(alert.expression)}


def is_date_in_a_certificate(name: str) -> bool:
    """Whoever signed it wrote it: the same instant, whoever reads it."""
    return name.endswith("_not_after_timestamp_seconds")


@pytest.mark.parametrize("alert", hub.ALERTS, ids=lambda alert: alert.name)
def test_nothing_that_a_hospital_says_of_time_raises_an_alert_at_the_hub(alert: Alert) -> None:
    assert _OF_THE_SITE.findall(alert.expression) == []


def test_every_instant_in_an_alert_of_the_hub_is_by_the_hubs_clock_or_a_certificates_date() -> None:
    found = instants(hub.ALERTS)
    assert found - _BY_THE_HUBS_CLOCK == set(filter(is_date_in_a_certificate, found))
    assert found >= _BY_THE_HUBS_CLOCK


def test_every_instant_in_an_alert_of_a_hospital_is_a_certificates_date() -> None:
    assert instants(site.ALERTS)
    assert all(map(is_date_in_a_certificate, instants(site.ALERTS)))
