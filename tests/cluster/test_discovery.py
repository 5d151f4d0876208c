"""A Prometheus finds every part by itself: by what the Prometheus Operator makes of the charts, and by annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring.client import Client
from tests.charts.helm import CHARTS, NAMESPACE, helm
from tests.charts.helm import MISSING as NO_HELM
from tests.cluster.annotations import following_annotations
from tests.cluster.monitored import ELSEWHERE, RESEARCH, ROLES, SECURED, SERVED_AS, Monitored, monitored
from tests.kube import prometheus_operator
from tests.kube.binaries import MISSING, binaries
from tests.kube.prometheus import Prometheus, check, lay
from tests.kube.waiting import wait_until
from tests.monitoring.panels import DASHBOARDS, FULL_DISKS, empty_panels

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

MONITORS = {
    f"serviceMonitor/{NAMESPACE}/fedward-hub/0",
    f"serviceMonitor/{NAMESPACE}/fedward-site/0",
    f"serviceMonitor/{SECURED}/fedward-site/0",
    f"podMonitor/{NAMESPACE}/fedward-aggregators/0",
}
RULES = sorted(path for chart in CHARTS.values() for path in (chart / "rules").glob("*.yaml"))
OURS = {
    (NAMESPACE, "fedward-hub-operator"),
    (NAMESPACE, "fedward-site-operator"),
    (NAMESPACE, "fedward-gateway"),
    (SECURED, "fedward-site-operator"),
    (SECURED, "fedward-gateway"),
    (RESEARCH, "brain-tumour-aggregator"),
}
"""Pods that show metrics: their namespace, and what their names begin with."""
IMPOSTOR = (ELSEWHERE, "mine")
_ANY = '{__name__=~"fedward_.*"}'


@pytest.fixture(scope="module")
def tools() -> Path:
    folder = binaries()
    if folder is None:
        pytest.skip(MISSING)
    if not all((folder / name).exists() for name in prometheus_operator.NEEDED):
        pytest.skip(prometheus_operator.MISSING)
    if helm() is None:
        pytest.skip(NO_HELM)
    return folder


@pytest.fixture(scope="module")
def cluster(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    with monitored(tmp_path_factory.mktemp("monitored"), tools) as made:
        yield made


@pytest.fixture(scope="module", params=ROLES)
def operated(
    request: pytest.FixtureRequest, cluster: Monitored, tools: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus with what its operator has written for it."""
    folder = tmp_path_factory.mktemp("operated") / "prometheus"
    with Prometheus(tools, folder, cluster.written(request.param), cluster.proxy) as prometheus:
        _wait_until_seen(prometheus.client, OURS | {IMPOSTOR})
        yield prometheus


@contextmanager
def _following(cluster: Monitored, tools: Path, folder: Path, *, honors_labels: bool) -> Iterator[Prometheus]:
    access = cluster.access()
    written = following_annotations(access, RULES, cluster.scraper, SERVED_AS, honors_labels=honors_labels)
    with Prometheus(tools, folder / "prometheus", written, cluster.proxy) as prometheus:
        _wait_until_seen(prometheus.client, OURS)
        yield prometheus


@pytest.fixture(scope="module")
def annotated(cluster: Monitored, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that follows annotations and honours labels, as that of the community's chart does."""
    with _following(cluster, tools, tmp_path_factory.mktemp("annotated"), honors_labels=True) as prometheus:
        yield prometheus


def _wait_until_seen(client: Client, pods: set[tuple[str, str]]) -> None:
    """Wait for every pod, and until rates have enough scrapes to go by."""
    wait_until("every pod is scraped", lambda: _scraped(client), 60, lambda seen: seen == dict.fromkeys(pods, 1))
    sent = "count_over_time(fedward_aggregator_sent_bytes_total[10s]) > 5"
    wait_until("rates have something to go by", lambda: client.ask(sent), 60)


def _scraped(client: Client) -> dict[tuple[str, str], float]:
    return {_pod(series.labels): series.value for series in client.ask("up")}


def _pod(labels: Mapping[str, str]) -> tuple[str, str]:
    """Give a pod's namespace and what its name begins with, without what Kubernetes has appended."""
    for namespace, begins in (*OURS, IMPOSTOR):
        if labels["namespace"] == namespace and labels["pod"].startswith(begins):
            return namespace, begins
    return labels["namespace"], labels["pod"]


# ---------------------------------------------------------------- what the Prometheus Operator makes of the charts


def test_the_operator_makes_a_job_of_each_monitor_that_promtool_takes(
    cluster: Monitored, tools: Path, tmp_path: Path
) -> None:
    written = cluster.written("by-endpoints")
    jobs: dict[str, dict[str, Any]] = {each["job_name"]: each for each in written.configuration["scrape_configs"]}

    assert jobs.keys() == MONITORS
    assert {(each["scrape_interval"], each["scrape_timeout"]) for each in jobs.values()} == {("1s", "1s")}
    assert "SUCCESS" in check(tools, "config", lay(tmp_path / "prometheus", written))
    aggregators = jobs[f"podMonitor/{NAMESPACE}/fedward-aggregators/0"]
    # Its namespaces are not named: it looks in all of them.
    assert "namespaces" not in aggregators["kubernetes_sd_configs"][0]
    assert aggregators["sample_limit"] == 20_000
    kept = {"action": "keepequal", "source_labels": ["job_namespace"], "target_label": "namespace"}
    assert kept in aggregators["metric_relabel_configs"]
    secured = jobs[f"serviceMonitor/{SECURED}/fedward-site/0"]
    assert (secured["scheme"], secured["tls_config"]["server_name"]) == ("https", SERVED_AS)


def test_the_operator_hands_on_every_alert_and_promtool_takes_them(
    cluster: Monitored, tools: Path, tmp_path: Path
) -> None:
    written = cluster.written("by-endpoints")
    rules = {path: yaml.safe_load(content) for path, content in written.files.items() if path.startswith("rules/")}
    ours = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]

    assert [group for _, each in sorted(rules.items()) for group in each["groups"]] == ours
    lay(tmp_path / "prometheus", written)
    check(tools, "rules", *(tmp_path / "prometheus" / path for path in rules))


def test_every_part_is_scraped_and_no_label_of_a_pod_is_in_the_way(operated: Prometheus) -> None:
    assert _scraped(operated.client) == dict.fromkeys(OURS | {IMPOSTOR}, 1)
    assert _hidden(operated.client) == set()


def test_who_gives_himself_out_as_an_aggregator_of_another_namespace_is_not_heard(operated: Prometheus) -> None:
    seen, kept = (
        {_pod(each.labels): each.value for each in operated.client.ask(name)}
        for name in ("scrape_samples_scraped", "scrape_samples_post_metric_relabeling")
    )

    assert seen[IMPOSTOR] > 100
    assert kept[IMPOSTOR] == 0
    assert ELSEWHERE not in {each.labels["namespace"] for each in operated.client.ask(_ANY)}
    assert {pod: kept[pod] for pod in OURS} == {pod: seen[pod] for pod in OURS}, "nothing of the others is lost"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_has_something_to_show(operated: Prometheus, name: str) -> None:
    assert empty_panels(operated.client, name) == []


def test_every_alert_can_be_evaluated_and_none_is_pending(operated: Prometheus) -> None:
    _expect_quiet_rules(operated)


# ---------------------------------------------------------------- by annotations


def test_every_part_is_found_by_its_annotations(annotated: Prometheus) -> None:
    assert _scraped(annotated.client) == dict.fromkeys(OURS, 1)
    assert _hidden(annotated.client) == set()


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_has_something_to_show_there_too(annotated: Prometheus, name: str) -> None:
    assert empty_panels(annotated.client, name) == []


def test_every_alert_can_be_evaluated_there_too(annotated: Prometheus) -> None:
    _expect_quiet_rules(annotated)


def test_the_label_that_kubernetes_gives_a_jobs_pods_hides_our_jobs_name_where_labels_are_not_honoured(
    cluster: Monitored, tools: Path, tmp_path: Path
) -> None:
    with _following(cluster, tools, tmp_path, honors_labels=False) as prometheus:
        assert _hidden(prometheus.client) == {"exported_job_name"}


def _hidden(client: Client) -> set[str]:
    """Name the labels of our metrics that were renamed, since the pod has others of that name."""
    return {name for each in client.ask(_ANY) for name in each.labels if name.startswith("exported_")}


def _expect_quiet_rules(prometheus: Prometheus) -> None:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    ok = {rule["alert"]: "ok" for group in groups for rule in group["rules"]}
    wait_until("every alert was evaluated", prometheus.rules, is_it=ok.__eq__)
    # That a part is missing was pending while none had been scraped yet.
    wait_until(
        "no alert is pending",
        lambda: {each.labels["alertname"] for each in prometheus.client.ask("ALERTS")} - FULL_DISKS,
        is_it=lambda pending: not pending,
    )
