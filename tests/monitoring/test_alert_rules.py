"""Every alert fires when it should, as soon as it promises, with its words filled in; and stays quiet otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring.alerts import hub, site
from monitoring.alerts.alert import Alert, newly, rule_file
from tests.monitoring.alert_cases import FAULT_MINUTE, HUB_CASES, NEAR_MISSES, SITE_CASES, Case
from tests.monitoring.promtool import needs_promtool, promtool

ALERTS = {alert.name: alert for alert in (*hub.ALERTS, *site.ALERTS)}
CASES = (*HUB_CASES, *SITE_CASES)


def rules(folder: Path) -> str:
    """Write all rules into one file, and give its name."""
    path = folder / "rules.yaml"
    path.write_text(rule_file("all", ALERTS.values()))
    return path.name


def run_tests(folder: Path, groups: Sequence[Mapping[str, Any]]) -> None:
    document = {"rule_files": [rules(folder)], "evaluation_interval": "1m", "tests": list(groups)}
    path = folder / "tests.yaml"
    path.write_text(yaml.safe_dump(document))
    promtool("test", "rules", path)


def group(name: str, series: Mapping[str, str], expected: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    given = [{"series": each, "values": values} for each, values in series.items()]
    return {"name": name, "interval": "1m", "input_series": given, "alert_rule_test": list(expected)}


def filled_in(text: str, case: Case) -> str:
    """Put labels and value where the text names them."""
    text = re.sub(r"{{ \$labels\.(\w+) }}", lambda found: case.labels[found[1]], text)
    return re.sub(r"{{ \$value[^}]*}}", case.value, text)


def expected_of(case: Case, alert: Alert) -> list[dict[str, Any]]:
    """Quiet until the fault has lasted, firing when promised."""
    quiet = [FAULT_MINUTE - 2, *([FAULT_MINUTE + alert.hold_minutes - 1] if alert.hold_minutes else [])]
    promised = FAULT_MINUTE + int(alert.promise.split()[0])
    fired = {
        "exp_labels": {**case.labels, "severity": alert.severity},
        "exp_annotations": {name: filled_in(text, case) for name, text in alert.rule()["annotations"].items()},
    }
    return [
        *({"alertname": alert.name, "eval_time": f"{minute}m", "exp_alerts": []} for minute in quiet),
        {"alertname": alert.name, "eval_time": f"{promised}m", "exp_alerts": [fired]},
    ]


@needs_promtool
@pytest.mark.parametrize("path", ["fedward-hub/rules/fedward-hub.yaml", "fedward-site/rules/fedward-site.yaml"])
def test_prometheus_reads_the_rules(path: str) -> None:
    promtool("check", "rules", Path(__file__).parents[2] / "charts" / path)


@needs_promtool
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_when_it_has_promised_to(case: Case, tmp_path: Path) -> None:
    run_tests(tmp_path, [group(case.alert, case.series, expected_of(case, ALERTS[case.alert]))])


@needs_promtool
@pytest.mark.parametrize("what", NEAR_MISSES)
def test_an_alert_stays_quiet_where_nothing_is_wrong(what: str, tmp_path: Path) -> None:
    alert, series = NEAR_MISSES[what]
    never = [{"alertname": alert, "eval_time": f"{minute}m", "exp_alerts": []} for minute in range(0, 60, 5)]
    run_tests(tmp_path, [group(what, series, never)])


@needs_promtool
@pytest.mark.parametrize(
    ("instances", "risen"),
    [
        pytest.param(["10x390 11 12 13x20"], 3, id="rises"),
        pytest.param(["10x390 11 12x20"], None, id="rises by two"),
        pytest.param(["_x390 3x20"], 3, id="begins"),
        pytest.param(["10x390 1 2 3 4 5x20"], 5, id="rises after a restart in place"),
        pytest.param(["1x390 2 stale", "_x400 1 2x20"], 3, id="rises in two processes, one after the other"),
        pytest.param(["10x20 _x60 10x340"], None, id="was not scraped six hours ago"),
        pytest.param(["1 2 3 4 5x420"], None, id="rose long ago"),
    ],
)
def test_a_counter_has_newly_risen(instances: Sequence[str], risen: float | None, tmp_path: Path) -> None:
    series = [{"series": f'refused{{reason="r",pod="{n}"}}', "values": each} for n, each in enumerate(instances)]
    samples = [] if risen is None else [{"labels": '{reason="r"}', "value": risen}]
    asked = [{"expr": newly("refused", "reason"), "eval_time": "405m", "exp_samples": samples}]
    run_tests(tmp_path, [{"interval": "1m", "input_series": series, "promql_expr_test": asked}])


def test_every_alert_is_made_to_fire() -> None:
    assert {case.alert for case in CASES} == set(ALERTS)


def test_every_alert_is_provoked_in_a_live_federation() -> None:
    waited_for = {
        name
        for path in Path(__file__).parent.glob("test_alerts_of_*.py")
        for name in re.findall(r"\bFedward[A-Z]\w+", path.read_text())
    }
    assert set(ALERTS) - waited_for == set()


def test_the_hub_and_a_hospital_in_one_prometheus_have_no_alert_in_common() -> None:
    assert len(ALERTS) == len(hub.ALERTS) + len(site.ALERTS)
