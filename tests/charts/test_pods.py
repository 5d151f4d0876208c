"""What the pods of the charts are: labelled, pulled, placed, and started as the programs in them understand it."""

from __future__ import annotations

import argparse
import json

import pytest
from tests.charts.helm import CHARTS, Manifest, cases, of_kind, pod_templates, render

from fedward_node.gateway import main as gateway
from fedward_operator import main as operator
from fedward_operator.hub import children
from fedward_operator.policy import naming
from fedward_protocol.tracing.exporting import ENDPOINT

pytestmark = pytest.mark.charts

EVERY = [(part, case) for part in CHARTS for case in cases(part)]
STANDARD = ("name", "instance", "version", "managed-by", "part-of")
PARSERS = {"operator": operator._parser, "gateway": gateway._parser}


def containers(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {
        container["name"]: container for _, pod in pod_templates(manifests) for container in pod["spec"]["containers"]
    }


def arguments(manifests: list[Manifest], name: str) -> argparse.Namespace:
    parser = PARSERS[name]()
    parser.exit_on_error = False
    return parser.parse_args(containers(manifests)[name]["args"])


@pytest.mark.parametrize(("part", "case"), EVERY)
def test_every_object_has_the_standard_labels(part: str, case: str) -> None:
    for each in render(part, case):
        labels = each["metadata"]["labels"]
        assert {f"app.kubernetes.io/{name}" for name in STANDARD} <= labels.keys()
        assert labels["app.kubernetes.io/part-of"] == "fedward"
        assert each["kind"] == "Pod" or labels["helm.sh/chart"].startswith(f"fedward-{part}-")


@pytest.mark.parametrize(("part", "case"), EVERY)
def test_a_selector_finds_its_own_pods_and_no_others(part: str, case: str) -> None:
    manifests = render(part, case)
    pods = {name: pod["metadata"]["labels"].items() for name, pod in pod_templates(manifests)}
    selectors = [
        (name, each["spec"]["selector"].get("matchLabels", each["spec"]["selector"]).items())
        for name, each in of_kind(manifests, "Deployment", "Service", "PodDisruptionBudget").items()
    ]

    assert selectors
    for name, selector in selectors:
        assert [pod for pod, labels in pods.items() if selector <= labels] == [name]


@pytest.mark.parametrize("part", CHARTS)
def test_what_a_value_adds_takes_nothing_away_of_what_pods_are_found_by(part: str) -> None:
    own = {"app.kubernetes.io/name": "mine", "fedward.io/component": "trainer", "team": "research"}
    values = {"operator": {"podLabels": own}, "commonLabels": own}

    for name, pod in pod_templates(render(part, values=values)):
        labels = pod["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == f"fedward-{part}"
        assert labels["fedward.io/component"] != "trainer", f"{name} would be let to the gateway as a trainer"
        assert labels["team"] == "research"


@pytest.mark.parametrize(("part", "case"), EVERY)
def test_every_container_keeps_to_the_restricted_standard_and_has_its_limits(part: str, case: str) -> None:
    for name, pod in pod_templates(render(part, case)):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        assert spec["automountServiceAccountToken"] == (component in ("operator", "check")), name
        for container in spec["containers"]:
            context = container["securityContext"]
            assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "fedward-gateway:0.1.0"),
        ({"tag": "1.2.3"}, "fedward-gateway:1.2.3"),
        ({"registry": "example.org:5000/a"}, "example.org:5000/a/fedward-gateway:0.1.0"),
        ({"repository": "team/gateway", "tag": "2"}, "team/gateway:2"),
        ({"tag": "2", "digest": f"sha256:{'a' * 64}"}, f"fedward-gateway@sha256:{'a' * 64}"),
    ],
)
@pytest.mark.parametrize("mirror", ["", "mirror.example/fedward"])
def test_an_image_is_named_by_digest_or_tag_and_from_the_mirror_where_there_is_one(
    image: dict[str, str], expected: str, mirror: str
) -> None:
    values = {"images": {"gateway": image}, "global": {"imageRegistry": mirror}}
    if mirror:
        expected = f"{mirror}/{expected.removeprefix('example.org:5000/a/')}"

    assert containers(render("site", values=values))["gateway"]["image"] == expected


@pytest.mark.parametrize(("part", "case"), EVERY)
def test_an_operator_is_started_as_it_understands_it(part: str, case: str) -> None:
    chosen = arguments(render(part, case), "operator")

    assert (chosen.role, chosen.namespace, chosen.federation) == (part, "fedward", "fed.example.org")


@pytest.mark.parametrize("case", cases("site"))
def test_a_gateway_is_started_as_it_understands_it(case: str) -> None:
    manifests = render("site", case)
    chosen = arguments(manifests, "gateway")
    mounts = {mount["mountPath"] for mount in containers(manifests)["gateway"]["volumeMounts"]}

    assert {str(path) for path in (chosen.state, chosen.audit, chosen.tls)} <= mounts
    assert str(chosen.operator_key.parent) in mounts


def test_an_operator_is_told_who_may_scrape_and_what_the_aggregators_are_made_of() -> None:
    manifests = render("hub", "everything")
    chosen = arguments(manifests, "operator")

    peers = of_kind(manifests, "NetworkPolicy")["fedward-hub-operator"]["spec"]["ingress"][0]["from"]
    assert chosen.scrapers == peers
    assert (chosen.storage, chosen.storage_class, chosen.door) == ("100Gi", "fast", "203.0.113.7:8443")


def test_who_makes_spans_is_told_the_collector_and_nobody_else_is() -> None:
    chosen = arguments(render("hub", "tracing"), "operator")
    assert (chosen.tracing_endpoint, len(chosen.tracing_egress)) == ("http://otel-collector.tracing.svc:4317", 2)
    assert arguments(render("hub"), "operator").tracing_endpoint == ""

    told = {name: container.get("env", []) for name, container in containers(render("site", "tracing")).items()}
    setting = {"name": ENDPOINT, "value": "https://otel-collector.monitoring.svc:4319"}
    assert [name for name, env in told.items() if setting in env] == ["gateway"]


def test_the_hub_is_told_of_trackers_where_they_are_wanted() -> None:
    chosen = arguments(render("hub", "everything"), "operator")
    assert chosen.tracker_image.rpartition(":")[0].endswith("fedward-tracker")
    assert chosen.tracking_egress[-1] == {
        "to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}],
        "ports": [{"protocol": "TCP", "port": 443}],
    }
    assert (
        arguments(render("hub"), "operator").tracker_image,
        arguments(render("hub"), "operator").tracking_egress,
    ) == ("", [])


def test_a_trainer_is_told_the_gateways_address_in_the_variable_of_its_service() -> None:
    manifests = render("site")
    gateway = of_kind(manifests, "Service")["fedward-gateway"]
    variable = f"{gateway['metadata']['name']}_SERVICE_HOST".replace("-", "_").upper()

    # Twice the dollar: Kubernetes puts the address into the trainer's arguments, not into the operator's.
    assert arguments(manifests, "operator").gateway == f"$$({variable}):{gateway['spec']['ports'][0]['port']}"


def test_the_pods_that_aggregators_let_in_are_labelled_so() -> None:
    components = {pod["metadata"]["labels"][naming.LABEL_COMPONENT] for _, pod in pod_templates(render("hub"))}

    assert {children.DOOR, children.OPERATOR} <= components


@pytest.mark.parametrize("part", CHARTS)
def test_a_chart_of_a_new_version_alone_restarts_no_pod(part: str) -> None:
    """The chart's version is on the objects, and on no pod."""
    for name, pod in pod_templates(render(part)):
        assert "helm.sh/chart" not in pod["metadata"]["labels"], name


def test_a_changed_way_through_the_door_restarts_it_and_a_changed_operator_does_not() -> None:
    def door(**values: object) -> str:
        return json.dumps(dict(pod_templates(render("hub", values=values)))["fedward-door"])

    assert door(clusterDomain="other.internal") != door()
    assert door(operator={"replicas": 2}) == door()


def test_a_budget_is_there_only_where_a_pod_can_be_spared() -> None:
    assert set(of_kind(render("hub"), "PodDisruptionBudget")) == {"fedward-door"}
    assert set(of_kind(render("hub", "everything"), "PodDisruptionBudget")) == {"fedward-door", "fedward-hub-operator"}
    assert set(of_kind(render("site"), "PodDisruptionBudget")) == set()


@pytest.mark.parametrize("part", CHARTS)
def test_uninstalling_keeps_the_kinds_the_policy_and_the_gateways_volumes_and_nothing_else(part: str) -> None:
    kept = {
        (each["kind"], each["metadata"]["name"])
        for each in render(part, "everything")
        if each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    }
    definitions = {(kind, name) for kind, name in kept if kind == "CustomResourceDefinition"}

    assert len(definitions) == {"hub": 4, "site": 2}[part]
    assert (
        kept - definitions
        == {
            "hub": set(),
            "site": {
                ("SitePolicy", "north"),
                ("PersistentVolumeClaim", "fedward-gateway-state"),
                ("PersistentVolumeClaim", "fedward-gateway-audit"),
            },
        }[part]
    )


def test_a_site_beside_the_hub_leaves_the_kinds_to_it() -> None:
    assert of_kind(render("site", "beside-the-hub"), "CustomResourceDefinition") == {}
