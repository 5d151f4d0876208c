"""What Prometheus and Grafana find of a release: the right pods at the right ports, all alerts and dashboards."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml
from bench.metrics import Job
from tests.charts import jobs
from tests.charts.helm import CHARTS, NAMESPACE, Manifest, install, of_kind, pod_templates, render

from fedward_operator.policy import naming
from fedward_protocol.identity import metrics_name
from fedward_protocol.metric_names import MOST_METRICS
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason

pytestmark = pytest.mark.charts

MONITORED = {"hub": {"fedward-hub-operator"}, "site": {"fedward-site-operator", "fedward-gateway"}}
GROUP = "monitoring.coreos.com/v1"

SECRET = {"secret": {"name": str, "key": str}}
ENDPOINT = {"port": str, "path": str, "interval": str, "scrapeTimeout": str}
TLS = {"serverName": str, "ca": SECRET, "cert": SECRET, "keySecret": {"name": str, "key": str}}
LABELS = {"matchLabels": dict}
RELABELING = {"action": str, "sourceLabels": list, "targetLabel": str, "regex": str}
RULE = {"alert": str, "record": str, "expr": str, "for": str, "labels": dict, "annotations": dict}
FORMS: dict[str, Any] = {
    "ServiceMonitor": {
        "selector": LABELS,
        "namespaceSelector": {"matchNames": list},
        "endpoints": [{**ENDPOINT, "scheme": str, "tlsConfig": TLS}],
    },
    "PodMonitor": {
        "selector": LABELS,
        "namespaceSelector": {"any": bool},
        "sampleLimit": int,
        "podMetricsEndpoints": [
            {
                **ENDPOINT,
                "scheme": str,
                "tlsConfig": TLS,
                "relabelings": [RELABELING],
                "metricRelabelings": [RELABELING],
            }
        ],
    },
    "PrometheusRule": {"groups": [{"name": str, "interval": str, "rules": [RULE]}]},
}
"""The fields of the Prometheus Operator's kinds that the charts may use, as its API documents them."""


def strangers(given: Any, form: Any, path: str) -> Iterator[str]:
    """Name the fields that are none of the kind's, or of another type."""
    if isinstance(form, type):
        if not isinstance(given, form):
            yield f"{path}: {given!r}"
    elif isinstance(form, list):
        for number, each in enumerate(given):
            yield from strangers(each, form[0], f"{path}[{number}]")
    else:
        for name, value in given.items():
            if name in form:
                yield from strangers(value, form[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}"


def ports(pod: Manifest) -> dict[str, int]:
    return {each["name"]: each["containerPort"] for each in pod["spec"]["containers"][0].get("ports", ())}


@pytest.mark.parametrize("part", CHARTS)
def test_nothing_of_the_prometheus_operators_is_there_unless_asked_for(part: str) -> None:
    assert not of_kind(render(part, "everything"), *FORMS)
    assert not [name for name in of_kind(render(part, "everything"), "ConfigMap") if "dashboard" in name]


@pytest.mark.parametrize("case", ["monitoring", "secure-metrics"])
@pytest.mark.parametrize("part", CHARTS)
def test_the_prometheus_operators_kinds_are_written_as_it_reads_them(part: str, case: str) -> None:
    made = [each for each in render(part, case) if each["kind"] in FORMS]

    assert made
    assert {each["apiVersion"] for each in made} == {GROUP}
    assert not [found for each in made for found in strangers(each["spec"], FORMS[each["kind"]], each["kind"])]


@pytest.mark.parametrize(("case", "port"), [("monitoring", 9090), ("secure-metrics", 9443)])
@pytest.mark.parametrize("part", CHARTS)
def test_a_service_monitor_finds_every_part_that_shows_metrics_and_where(part: str, case: str, port: int) -> None:
    manifests = render(part, case)
    (monitor,) = of_kind(manifests, "ServiceMonitor").values()
    (endpoint,) = monitor["spec"]["endpoints"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    pods = {name: ports(pod) for name, pod in pod_templates(manifests)}

    found = {
        name: pods[name][each["targetPort"]]
        for name, service in of_kind(manifests, "Service").items()
        for each in service["spec"]["ports"]
        if wanted <= service["metadata"]["labels"].items() and each["name"] == endpoint["port"]
    }
    assert found == dict.fromkeys(MONITORED[part], port)


def test_a_pod_monitor_finds_aggregators_wherever_jobs_run() -> None:
    monitor = of_kind(render("hub", "monitoring"), "PodMonitor")["fedward-aggregators"]
    job, _ = jobs.aggregator("brain")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]

    assert monitor["spec"]["selector"]["matchLabels"].items() <= jobs.labels(job).items()
    assert monitor["spec"]["selector"]["matchLabels"] == {naming.LABEL_COMPONENT: "aggregator"}
    assert monitor["spec"]["namespaceSelector"] == {"any": True}
    assert ports(job["spec"]["template"])[endpoint["port"]] == 9090
    # Whoever labels a pod of his as an aggregator's speaks for jobs of his own namespace alone, and not without end.
    (named,) = endpoint["relabelings"]
    assert named == {
        "action": "replace",
        "sourceLabels": ["__meta_kubernetes_namespace"],
        "targetLabel": "pod_namespace",
    }
    assert endpoint["metricRelabelings"] == [
        {"action": "keepequal", "sourceLabels": ["job_namespace"], "targetLabel": "pod_namespace"},
        {"action": "labeldrop", "regex": "pod_namespace"},
    ]


def test_no_job_that_may_run_shows_more_than_is_taken_in() -> None:
    monitor = of_kind(render("hub", "monitoring"), "PodMonitor")["fedward-aggregators"]
    most_sites = Plan.model_json_schema()["properties"]["sites"]["maxItems"]
    job = Job(most_sites, 2, [f"dice_{number}" for number in range(MOST_METRICS)])
    job.run()
    # An aggregator has some twenty reasons to refuse what a site sends.
    for site, reason in itertools.product(job.plan.sites, list(Reason)[:24]):
        job.metrics.refused(site, reason)

    assert (most_sites, MOST_METRICS) == (256, 64)
    shown = sum(len(family.samples) for family in job.metrics.registry.collect())
    assert shown < monitor["spec"]["sampleLimit"] < 1.1 * shown


def test_trackers_are_found_where_there_are_any_and_as_aggregators_are() -> None:
    values = {"metrics": {"serviceMonitor": {"enabled": True}}, "tracking": {"enabled": True}}
    monitors = of_kind(render("hub", values=values), "PodMonitor")
    job, _ = jobs.tracker("brain", jobs.HUB)

    assert monitors["fedward-trackers"]["spec"]["selector"]["matchLabels"].items() <= jobs.labels(job).items()
    endpoints = [monitor["spec"]["podMetricsEndpoints"] for monitor in monitors.values()]
    assert endpoints[0] == endpoints[1]
    assert "fedward-trackers" not in of_kind(render("hub", "monitoring"), "PodMonitor")


def test_by_mutual_tls_jobs_are_met_by_the_name_that_their_certificates_have() -> None:
    (monitor,) = of_kind(render("hub", "secure-metrics"), "PodMonitor").values()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    secured = replace(jobs.HUB, scraper_authority=lambda: b"theirs")
    job, _ = jobs.aggregator("brain", secured)

    assert (endpoint["scheme"], endpoint["tlsConfig"]["serverName"]) == ("https", metrics_name("fed.example.org"))
    assert endpoint["tlsConfig"]["ca"] == {"secret": {"name": "fedward-authority", "key": "ca.crt"}}
    assert endpoint["tlsConfig"]["keySecret"]["name"] == "prometheus-tls"
    assert ports(job["spec"]["template"])[endpoint["port"]] == 9443


@pytest.mark.parametrize("part", CHARTS)
def test_releases_that_put_their_dashboards_into_one_namespace_name_them_apart(part: str) -> None:
    shared = {"dashboards": {"enabled": True, "namespace": "monitoring"}}
    names = [name for name in of_kind(render(part, values=shared), "ConfigMap") if "dashboard" in name]
    assert names
    assert all(name.startswith(f"{NAMESPACE}-") for name in names)


@pytest.mark.parametrize(("case", "said"), [("monitoring", ("http", "9090")), ("secure-metrics", ("https", "9443"))])
@pytest.mark.parametrize("part", CHARTS)
def test_annotations_say_where_the_metrics_of_a_pod_are(part: str, case: str, said: tuple[str, str]) -> None:
    annotated = {
        name: tuple(pod["metadata"]["annotations"][f"prometheus.io/{key}"] for key in ("scheme", "port"))
        for name, pod in pod_templates(render(part, case))
        if "prometheus.io/scrape" in pod["metadata"].get("annotations", {})
    }

    assert annotated == dict.fromkeys(MONITORED[part], said)


SHORTEST = "metrics.serviceMonitor.enabled=true,dashboards.enabled=true"


@pytest.mark.parametrize(
    ("line", "is_loaded"),
    [
        (SHORTEST, True),
        (f"{SHORTEST},metrics.rules.enabled=false", False),
        ("metrics.rules.enabled=true", True),
        ("metrics.annotations.enabled=true,dashboards.enabled=true", False),
    ],
)
@pytest.mark.parametrize("part", CHARTS)
def test_where_metrics_are_scraped_the_alerts_are_loaded_unless_the_values_say_no(
    part: str, line: str, is_loaded: bool
) -> None:
    rendered = install(part, line)

    assert ("kind: PrometheusRule" in rendered) == is_loaded
    assert (f"Alerts are in the PrometheusRule fedward-{part}, " in rendered) == is_loaded
    assert ("No alerts are loaded (metrics.rules.enabled=true), " in rendered) != is_loaded


@pytest.mark.parametrize("part", CHARTS)
def test_the_notes_say_where_the_dashboards_are(part: str) -> None:
    assert ", dashboards in ConfigMaps with the label grafana_dashboard=1." in install(part, SHORTEST)
    assert ", no dashboards (dashboards.enabled=true)." in install(part, "metrics.rules.enabled=true")


@pytest.mark.parametrize("part", CHARTS)
def test_alerts_are_selected_as_the_monitors_are_unless_they_have_labels_of_their_own(part: str) -> None:
    monitor = {"enabled": True, "labels": {"release": "stack"}}
    alike = render(part, values={"metrics": {"serviceMonitor": monitor}})
    apart = render(part, values={"metrics": {"serviceMonitor": monitor, "rules": {"labels": {"role": "alerts"}}}})

    ((like,), (own,)) = (of_kind(made, "PrometheusRule").values() for made in (alike, apart))
    assert like["metadata"]["labels"]["release"] == "stack"
    assert own["metadata"]["labels"]["role"] == "alerts"
    assert "release" not in own["metadata"]["labels"]


@pytest.mark.parametrize("address", ["https://git.example.org/fedward", "https://git.example.org/fedward/"])
@pytest.mark.parametrize("part", CHARTS)
def test_a_runbook_is_a_link_where_the_values_say_where_it_lies(part: str, address: str) -> None:
    values = {"metrics": {"rules": {"enabled": True, "runbookUrl": address}}}
    (rules,) = of_kind(render(part, values=values), "PrometheusRule").values()

    links = [rule["annotations"]["runbook_url"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    assert links
    assert all(link.startswith("https://git.example.org/fedward/docs/alerts.md#fedward") for link in links)


@pytest.mark.parametrize("part", CHARTS)
def test_alerts_and_dashboards_are_handed_on_as_they_stand(part: str) -> None:
    manifests = render(part, "monitoring")
    groups = [
        group
        for path in sorted((CHARTS[part] / "rules").glob("*.yaml"))
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    dashboards = {path.name: path.read_text().strip() for path in (CHARTS[part] / "dashboards").glob("*.json")}
    maps = [each for name, each in of_kind(manifests, "ConfigMap").items() if "-dashboard-" in name]

    (rules,) = of_kind(manifests, "PrometheusRule").values()
    assert groups
    assert rules["spec"]["groups"] == groups
    assert dashboards
    assert {name: text.strip() for each in maps for name, text in each["data"].items()} == dashboards
    assert {each["metadata"]["labels"]["dashboards"] for each in maps} == {"grafana"}


@pytest.mark.parametrize("part", CHARTS)
def test_labels_that_a_prometheus_selects_by_win_over_common_ones(part: str) -> None:
    made = render(part, "monitoring", {"commonLabels": {"release": "fedward", "team": "research"}})
    (monitor,) = of_kind(made, "ServiceMonitor").values()

    assert monitor["metadata"]["labels"].items() >= {"release": "monitoring", "team": "research"}.items()
