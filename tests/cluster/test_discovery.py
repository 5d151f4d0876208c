"""A Prometheus finds every part by itself: by what the Prometheus Operator makes of the charts, and by annotations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring.client import Client
from tests.charts.helm import CHARTS, NAMESPACE, helm
from tests.charts.helm import MISSING as NO_HELM
from tests.cluster.annotations import following_annotations
from tests.cluster.asked_for import ASKED_FOR
from tests.cluster.monitored import ELSEWHERE, RESEARCH, SECURED, SERVED_AS, Monitored, Pod, monitored
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
IMPOSTOR = (ELSEWHERE, "aggregator")
OURS = {
    (NAMESPACE, "hub-operator"),
    (NAMESPACE, "site-operator"),
    (NAMESPACE, "gateway"),
    (SECURED, "site-operator"),
    (SECURED, "gateway"),
    (RESEARCH, "aggregator"),
}
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


@pytest.fixture(scope="module", params=ASKED_FOR)
def operated(
    request: pytest.FixtureRequest, cluster: Monitored, tools: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus with what its operator has written for it."""
    folder = tmp_path_factory.mktemp("operated") / "prometheus"
    with Prometheus(tools, folder, cluster.written(request.param), cluster.proxy) as prometheus:
        _wait_until_seen(cluster, prometheus.client, OURS | {IMPOSTOR})
        yield prometheus


@contextmanager
def _following(cluster: Monitored, tools: Path, folder: Path, *, honors_labels: bool) -> Iterator[Prometheus]:
    access = cluster.access()
    written = following_annotations(access, RULES, cluster.scraper, SERVED_AS, honors_labels=honors_labels)
    with Prometheus(tools, folder / "prometheus", written, cluster.proxy) as prometheus:
        _wait_until_seen(cluster, prometheus.client, OURS)
        yield prometheus


@pytest.fixture(scope="module")
def annotated(cluster: Monitored, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that follows annotations and honours labels, as that of the community's chart does."""
    with _following(cluster, tools, tmp_path_factory.mktemp("annotated"), honors_labels=True) as prometheus:
        yield prometheus


def _wait_until_seen(cluster: Monitored, client: Client, pods: set[Pod]) -> None:
    """Wait for every pod, until rounds were closed, and until rates have enough scrapes to go by."""
    every = dict.fromkeys(pods, 1)
    wait_until("every pod is scraped", lambda: cluster.by_pod(client.ask("up")), 60, every.__eq__)
    closed = "fedward_aggregator_round > 3 and on () fedward_gateway_filter_seconds_count > 2"
    wait_until("rounds were closed", lambda: client.ask(closed), 60)
    sent = "count_over_time(fedward_aggregator_sent_bytes_total[10s]) > 5"
    wait_until("rates have something to go by", lambda: client.ask(sent), 60)


# ---------------------------------------------------------------- what the Prometheus Operator makes of the charts


def test_the_operator_makes_a_job_of_each_monitor_that_promtool_takes(
    cluster: Monitored, tools: Path, tmp_path: Path
) -> None:
    written = cluster.written("a-new-one")
    jobs: dict[str, dict[str, Any]] = {each["job_name"]: each for each in written.configuration["scrape_configs"]}

    assert jobs.keys() == MONITORS
    assert {(each["scrape_interval"], each["scrape_timeout"]) for each in jobs.values()} == {("1s", "1s")}
    assert "SUCCESS" in check(tools, "config", lay(tmp_path / "prometheus", written))
    aggregators = jobs[f"podMonitor/{NAMESPACE}/fedward-aggregators/0"]
    # Its namespaces are not named: it looks in all of them.
    assert "namespaces" not in aggregators["kubernetes_sd_configs"][0]
    assert aggregators["sample_limit"] == 30_000
    assert [each["action"] for each in aggregators["metric_relabel_configs"]] == ["keepequal", "labeldrop"]
    secured = jobs[f"serviceMonitor/{SECURED}/fedward-site/0"]
    assert (secured["scheme"], secured["tls_config"]["server_name"]) == ("https", SERVED_AS)


def test_the_operator_hands_on_every_alert_and_promtool_takes_them(
    cluster: Monitored, tools: Path, tmp_path: Path
) -> None:
    written = cluster.written("a-new-one")
    rules = {path: yaml.safe_load(content) for path, content in written.files.items() if path.startswith("rules/")}
    ours = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]

    assert [group for _, each in sorted(rules.items()) for group in each["groups"]] == ours
    lay(tmp_path / "prometheus", written)
    check(tools, "rules", *(tmp_path / "prometheus" / path for path in rules))


def test_every_part_is_scraped_and_no_label_of_a_pod_is_in_the_way(cluster: Monitored, operated: Prometheus) -> None:
    assert cluster.by_pod(operated.client.ask("up")) == dict.fromkeys(OURS | {IMPOSTOR}, 1)
    assert _hidden(operated.client) == set()


def test_who_gives_himself_out_as_an_aggregator_of_another_namespace_is_not_heard(
    cluster: Monitored, operated: Prometheus
) -> None:
    seen, kept = (
        cluster.by_pod(operated.client.ask(name))
        for name in ("scrape_samples_scraped", "scrape_samples_post_metric_relabeling")
    )

    assert seen[IMPOSTOR] > 100
    assert kept[IMPOSTOR] == 0
    assert IMPOSTOR not in cluster.by_pod(operated.client.ask(_ANY))
    assert {pod: kept[pod] for pod in OURS} == {pod: seen[pod] for pod in OURS}, "nothing of the others is lost"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_has_something_to_show(operated: Prometheus, name: str) -> None:
    assert empty_panels(operated.client, name) == []


def test_every_alert_can_be_evaluated_and_none_is_pending(operated: Prometheus) -> None:
    _expect_quiet_rules(operated)


# ---------------------------------------------------------------- by annotations


def test_every_part_is_found_by_its_annotations(cluster: Monitored, annotated: Prometheus) -> None:
    assert cluster.by_pod(annotated.client.ask("up")) == dict.fromkeys(OURS, 1)
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
        wait_until("the job is missed", lambda: prometheus.client.ask('ALERTS{alertname="FedwardAggregatorMissing"}'))


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
