"""What reaches what by the charts' fences and the operator's: what the federation needs, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.charts import jobs
from tests.charts.helm import Manifest, of_kind, pod_templates, render
from tests.charts.network import MISSING, Address, Flow, Peer, Pod, cyclonus, judge

pytestmark = [pytest.mark.charts, pytest.mark.skipif(cyclonus() is None, reason=MISSING)]

STRANGERS: dict[str, Peer] = {
    "prometheus": Pod("monitoring", {"app": "prometheus"}),
    "names": Pod("kube-system", {"k8s-app": "kube-dns"}),
    "another pod of the namespace": Pod("fedward", {"app": "notebook"}),
    "a pod elsewhere": Pod("wards", {"app": "notebook"}),
    "a trainer elsewhere": Pod("wards", {"fedward.io/component": "trainer"}),
    "an operator elsewhere": Pod("wards", {"fedward.io/component": "hub-operator"}),
    "a door elsewhere": Pod("wards", {"fedward.io/component": "door"}),
    "the API server": Address("192.0.2.10"),
    "the hub": Address("198.51.100.9"),
    "the internet": Address("203.0.113.80"),
}

NARROW = {
    "networkPolicy": {"apiServer": {"cidrs": ["192.0.2.10/32"], "ports": [6443]}, "hub": {"cidrs": ["198.51.100.9/32"]}}
}
"""As the README asks a hospital to: its API server and the hub by their addresses."""


def parts(manifests: list[Manifest], namespace: str) -> dict[str, Peer]:
    """The pods that a chart makes, by what they are."""
    return {
        name.removeprefix("fedward-"): Pod(namespace, template["metadata"]["labels"])
        for name, template in pod_templates(manifests)
    }


def hospital(case: str = "defaults") -> tuple[dict[str, Peer], list[Manifest]]:
    """A hospital's pods and fences: the chart's and the operator's."""
    manifests = render("site", case, NARROW)
    peers = parts(manifests, "fedward") | {
        "trainer": Pod("fedward", jobs.labels(jobs.training("brain-1"))),
        "another trainer": Pod("fedward", jobs.labels(jobs.training("lung-1"))),
        "preflight": Pod("fedward", jobs.labels(jobs.inspection())),
    }
    return peers | STRANGERS, [*of_kind(manifests, "NetworkPolicy").values(), *jobs.fences()]


def centre(case: str = "defaults") -> tuple[dict[str, Peer], list[Manifest]]:
    """A hub's pods and fences: the chart's in its namespace, the operator's in the researchers'."""
    manifests = render("hub", case)
    policies = list(of_kind(manifests, "NetworkPolicy").values())
    for policy in policies:
        policy["metadata"]["namespace"] = "centre"
    (brain, fence), (lung, another) = jobs.aggregator("brain"), jobs.aggregator("lung")
    peers = parts(manifests, "centre") | {
        "aggregator": Pod("research", jobs.labels(brain)),
        "another aggregator": Pod("research", jobs.labels(lung)),
        "a researcher's pod": Pod("research", {"app": "notebook"}),
    }
    return peers | STRANGERS, [*policies, fence, another]


def flows(peers: Mapping[str, Peer], table: str) -> dict[str, Flow]:
    """Read rows of the form `a -> b:port`, with `/udp` where it is that."""
    found = {}
    for row in table.strip().splitlines():
        source, _, rest = row.strip().partition(" -> ")
        destination, _, port = rest.rpartition(":")
        number, _, protocol = port.partition("/")
        found[row.strip()] = Flow(peers[source], peers[destination], int(number), protocol.upper() or "TCP")
    return found


def passing(world: tuple[dict[str, Peer], list[Manifest]], table: str, folder: Path) -> list[str]:
    """Name the rows that the fences let through."""
    peers, policies = world
    rows = flows(peers, table)
    return [row for row, passes in zip(rows, judge(policies, list(rows.values()), folder), strict=True) if passes]


def rows(table: str) -> list[str]:
    return [row.strip() for row in table.strip().splitlines()]


HOSPITAL_OPEN = """
    trainer -> gateway:8443
    another trainer -> gateway:8443
    gateway -> the hub:443
    gateway -> names:53/udp
    gateway -> names:53
    site-operator -> the hub:443
    site-operator -> the API server:6443
    site-operator -> names:53/udp
    prometheus -> gateway:9090
    prometheus -> site-operator:9090
    site-check -> gateway:8443
    site-check -> gateway:9090
    site-check -> site-operator:9090
    site-check -> the hub:443
"""

HOSPITAL_CLOSED = """
    trainer -> gateway:9090
    trainer -> the API server:6443
    trainer -> the API server:443
    trainer -> the hub:443
    trainer -> the internet:443
    trainer -> the internet:53/udp
    trainer -> names:53/udp
    trainer -> names:53
    trainer -> names:443
    trainer -> site-operator:9090
    trainer -> another trainer:8443
    trainer -> preflight:8443
    trainer -> a pod elsewhere:8443
    trainer -> another pod of the namespace:8443
    trainer -> prometheus:9090
    gateway -> trainer:8443
    site-operator -> trainer:8443
    prometheus -> trainer:9090
    another pod of the namespace -> trainer:22
    the internet -> trainer:8443
    preflight -> gateway:8443
    preflight -> names:53/udp
    preflight -> the API server:6443
    preflight -> the hub:443
    preflight -> the internet:443
    prometheus -> preflight:9090
    gateway -> preflight:8443
    gateway -> the API server:6443
    gateway -> the API server:443
    gateway -> the internet:443
    gateway -> the hub:22
    gateway -> a pod elsewhere:443
    gateway -> a pod elsewhere:8443
    gateway -> site-operator:9090
    prometheus -> gateway:8443
    a pod elsewhere -> gateway:8443
    a pod elsewhere -> gateway:9090
    another pod of the namespace -> gateway:8443
    a trainer elsewhere -> gateway:8443
    the hub -> gateway:8443
    the internet -> gateway:8443
    the internet -> gateway:9090
    site-operator -> gateway:8443
    site-operator -> the internet:443
    site-operator -> the hub:22
    site-operator -> a pod elsewhere:6443
    the hub -> site-operator:9090
    the internet -> site-operator:9090
    a pod elsewhere -> site-operator:9090
    gateway -> site-check:8443
    site-check -> the internet:443
"""

CENTRE_OPEN = """
    the internet -> door:8443
    a pod elsewhere -> door:8443
    door -> aggregator:8443
    door -> another aggregator:8443
    door -> the API server:6443
    door -> names:53/udp
    hub-operator -> aggregator:8443
    hub-operator -> the API server:6443
    hub-operator -> names:53
    prometheus -> aggregator:9090
    prometheus -> hub-operator:9090
    hub-check -> door:8443
    hub-check -> hub-operator:9090
"""

CENTRE_CLOSED = """
    the internet -> door:8081
    a pod elsewhere -> door:8081
    door -> aggregator:9090
    door -> hub-operator:9090
    door -> a researcher's pod:8443
    door -> a pod elsewhere:8443
    door -> the internet:80
    hub-operator -> door:8443
    hub-operator -> aggregator:9090
    hub-operator -> a pod elsewhere:8443
    hub-operator -> the internet:80
    the internet -> hub-operator:9090
    a pod elsewhere -> hub-operator:9090
    door -> hub-operator:8443
    aggregator -> names:53/udp
    aggregator -> the API server:6443
    aggregator -> the API server:443
    aggregator -> the internet:443
    aggregator -> another aggregator:8443
    aggregator -> a researcher's pod:8443
    aggregator -> door:8443
    aggregator -> hub-operator:9090
    a researcher's pod -> aggregator:8443
    a researcher's pod -> aggregator:9090
    another aggregator -> aggregator:8443
    a pod elsewhere -> aggregator:8443
    a door elsewhere -> aggregator:8443
    an operator elsewhere -> aggregator:8443
    prometheus -> aggregator:8443
    the internet -> aggregator:8443
    hub-check -> aggregator:8443
"""


SECURED = {"hospital": "gateway", "centre": "hub-operator"}
"""Who shows metrics there, by mutual TLS if so installed."""


@pytest.mark.parametrize("world", [hospital, centre])
def test_where_metrics_are_by_tls_that_port_alone_is_open_to_who_scrapes(world, tmp_path: Path) -> None:
    part = SECURED[world.__name__]
    table = f"""
        prometheus -> {part}:9443
        prometheus -> {part}:9090
        a pod elsewhere -> {part}:9443
        {"site" if world is hospital else "hub"}-check -> {part}:9090
    """
    opened = rows(table)

    assert passing(world("secure-metrics"), table, tmp_path) == [opened[0], opened[3]]


@pytest.mark.parametrize(
    ("world", "opened"),
    [
        pytest.param(hospital, HOSPITAL_OPEN, id="hospital"),
        pytest.param(centre, CENTRE_OPEN, id="centre"),
    ],
)
def test_the_ways_that_the_federation_needs_are_open(world, opened: str, tmp_path: Path) -> None:
    assert passing(world(), opened, tmp_path) == rows(opened)


@pytest.mark.parametrize(
    ("world", "closed"),
    [
        pytest.param(hospital, HOSPITAL_CLOSED, id="hospital"),
        pytest.param(centre, CENTRE_CLOSED, id="centre"),
    ],
)
def test_every_other_way_is_closed(world, closed: str, tmp_path: Path) -> None:
    assert passing(world(), closed, tmp_path) == []


def test_without_fences_all_of_that_would_be_open(tmp_path: Path) -> None:
    peers, _ = hospital()

    assert passing((peers, []), HOSPITAL_CLOSED, tmp_path) == rows(HOSPITAL_CLOSED)


@pytest.mark.parametrize("world", [hospital, centre])
def test_no_pod_of_ours_is_without_a_fence_in_both_directions(world) -> None:
    peers, policies = world()
    ours = {name: peer for name, peer in peers.items() if name not in STRANGERS and name != "a researcher's pod"}

    assert len(ours) >= 5
    for name, peer in ours.items():
        around = [
            policy["spec"]
            for policy in policies
            if isinstance(peer, Pod)
            and policy["metadata"]["namespace"] == peer.namespace
            and policy["spec"]["podSelector"]["matchLabels"].items() <= peer.labels.items()
        ]
        assert {direction for spec in around for direction in spec["policyTypes"]} == {"Ingress", "Egress"}, name


def test_a_site_beside_the_hub_reaches_it_by_its_door_alone(tmp_path: Path) -> None:
    (north, fences), (hub, more) = hospital(), centre()
    table = """
        gateway -> door:8443
        site-operator -> door:8443
        trainer -> door:8443
        preflight -> door:8443
        gateway -> aggregator:8443
        gateway -> hub-operator:9090
        trainer -> aggregator:8443
        door -> gateway:8443
        hub-operator -> gateway:8443
    """

    assert passing((hub | north, fences + more), table, tmp_path) == rows(table)[:2]


def test_spans_have_a_way_to_the_collector_and_nowhere_else(tmp_path: Path) -> None:
    peers, policies = hospital("tracing")
    operator = next(pod for name, pod in pod_templates(render("hub", "tracing")) if "operator" in name)
    words = operator["spec"]["containers"][0]["args"]
    egress = json.loads(words[words.index("--tracing-egress") + 1])
    brain, fence = jobs.aggregator("brain", replace(jobs.HUB, tracing_egress=egress))
    world = peers | {
        "aggregator": Pod("research", jobs.labels(brain)),
        "the hospital's collector": Pod("monitoring", {"app": "collector"}),
        "the hub's collector": Pod("tracing", {"app": "collector"}),
    }
    table = """
        gateway -> the hospital's collector:4319
        aggregator -> the hub's collector:4317
        aggregator -> names:53/udp
        gateway -> the hospital's collector:4317
        gateway -> the hub's collector:4317
        gateway -> a pod elsewhere:4319
        site-operator -> the hospital's collector:4319
        trainer -> the hospital's collector:4319
        aggregator -> the hub's collector:443
        aggregator -> the hospital's collector:4317
        aggregator -> a pod elsewhere:4317
        aggregator -> the internet:4317
        the hub's collector -> aggregator:8443
        the hospital's collector -> gateway:8443
    """

    assert passing((world, [*policies, fence]), table, tmp_path) == rows(table)[:3]


def test_a_tracker_reaches_its_aggregator_and_the_mlflow_servers_and_opens_nothing_to_the_aggregator(
    tmp_path: Path,
) -> None:
    operator = next(pod for name, pod in pod_templates(render("hub", "everything")) if "operator" in name)
    words = operator["spec"]["containers"][0]["args"]
    egress = json.loads(words[words.index("--tracking-egress") + 1])
    hub = replace(jobs.HUB, tracker_image="t", tracking_egress=egress)
    (brain, fence), (follower, its_fence), (lung, lungs_fence) = (
        jobs.aggregator("brain", hub),
        jobs.tracker("brain", hub),
        jobs.aggregator("lung", hub),
    )
    world = {
        "aggregator": Pod("research", jobs.labels(brain)),
        "tracker": Pod("research", jobs.labels(follower)),
        "another job's aggregator": Pod("research", jobs.labels(lung)),
        "prometheus": Pod("monitoring", {"app": "prometheus"}),
        "names": Pod("kube-system", {"k8s-app": "kube-dns"}),
        "mlflow": Address("192.0.2.7"),
        "the internet": Address("198.51.100.1"),
    }
    table = """
        tracker -> aggregator:8443
        tracker -> mlflow:443
        tracker -> names:53/udp
        prometheus -> tracker:9090
        tracker -> aggregator:9090
        tracker -> another job's aggregator:8443
        tracker -> the internet:443
        tracker -> mlflow:5000
        aggregator -> mlflow:443
        aggregator -> names:53/udp
        aggregator -> tracker:9090
        prometheus -> aggregator:8443
    """

    assert passing((world, [fence, its_fence, lungs_fence]), table, tmp_path) == rows(table)[:4]


def test_through_a_proxy_the_hub_itself_is_out_of_reach(tmp_path: Path) -> None:
    proxy = {"url": "http://proxy.hospital.example:3128"}
    narrow = {"proxy": proxy, "networkPolicy": {"hub": {"cidrs": ["192.0.2.33/32"]}}}
    manifests = render("site", values=narrow)
    world = parts(manifests, "fedward") | STRANGERS | {"the proxy": Address("192.0.2.33")}
    table = """
        gateway -> the proxy:3128
        site-operator -> the proxy:3128
        gateway -> the hub:443
        gateway -> the hub:3128
        gateway -> the proxy:22
    """

    assert passing((world, list(of_kind(manifests, "NetworkPolicy").values())), table, tmp_path) == rows(table)[:2]


def test_as_it_is_installed_the_gateway_reaches_the_hubs_port_and_no_other(tmp_path: Path) -> None:
    """Nothing tells the chart the hub's address, only its name; narrowing is the hospital's."""
    manifests = render("site")
    world = parts(manifests, "fedward") | STRANGERS
    table = """
        gateway -> the internet:443
        gateway -> the internet:80
        gateway -> the API server:6443
    """

    assert passing((world, list(of_kind(manifests, "NetworkPolicy").values())), table, tmp_path) == rows(table)[:1]


def test_without_the_charts_fences_the_operators_still_stand(tmp_path: Path) -> None:
    assert of_kind(render("site", "no-network-policies"), "NetworkPolicy") == {}
    peers, _ = hospital()
    table = """
        trainer -> gateway:8443
        trainer -> the internet:443
        preflight -> the internet:443
        gateway -> trainer:8443
    """

    assert passing((peers, jobs.fences()), table, tmp_path) == rows(table)[:1]
