"""Which files are made of dashboards and alerts, and where they go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from monitoring.alerts import hub, site
from monitoring.alerts.alert import rule_file
from monitoring.dashboards.federation import federation
from monitoring.dashboards.job import job
from monitoring.dashboards.site import site as hospital

ROOT = Path(__file__).resolve().parent.parent


def files() -> Mapping[str, str]:
    """Give each file's text by its path in the project."""
    return {
        "charts/fedward-hub/dashboards/federation.json": federation(),
        "charts/fedward-hub/dashboards/job.json": job(),
        "charts/fedward-site/dashboards/site.json": hospital(),
        "charts/fedward-hub/rules/fedward-hub.yaml": rule_file("fedward-hub", hub.ALERTS),
        "charts/fedward-site/rules/fedward-site.yaml": rule_file("fedward-site", site.ALERTS),
    }


def write(folder: Path) -> None:
    """Write all of them below a folder."""
    for path, text in files().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
