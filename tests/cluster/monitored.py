"""A cluster with both charts in it, the Prometheus Operator over it, and a live federation behind its pods."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from monitoring.client import Series
from tests.charts import jobs
from tests.charts.helm import CHARTS, NAMESPACE, VALUES, Manifest, run
from tests.cluster.asked_for import ASKED_FOR, MONITORING, prometheus, rights
from tests.cluster.conftest import control_plane, run_kubectl
from tests.cluster.operators import FEDERATION, ROOT, make, make_volume, set_status, the_pod
from tests.kube.control_plane import ControlPlane
from tests.kube.pod_proxy import PodProxy
from tests.kube.prometheus_operator import PrometheusOperator, Written
from tests.kube.waiting import wait_until
from tests.monitoring.federation import JOB, SITES, STEADY_S, Federation
from tests.monitoring.operators import Operators

from fedward_operator.metrics import Metrics
from fedward_protocol import probes
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority
from fedward_protocol.scraping import Secured

RESEARCH = JOB["job_namespace"]
SECURED = "secured"
"""A hospital's namespace, with metrics by mutual TLS."""
SERVED_AS = "fedward.hospital.example"
"""The name in its certificate."""
ELSEWHERE = "elsewhere"
"""A namespace where somebody labels a pod of his as an aggregator's."""

_BRISK = {"metrics": {"serviceMonitor": {"interval": "1s", "scrapeTimeout": "1s", "labels": {"release": "monitoring"}}}}
_PORT, _SECURE_PORT = 9090, 9443
Pod = tuple[str, str]
"""A pod that shows metrics: its namespace, whatever a Prometheus says, and its component."""


@dataclass(frozen=True, slots=True)
class Monitored:
    """What a test works with.

    Attributes:
        plane: the cluster.
        operator: the Prometheus Operator over it.
        proxy: the address of what leads a Prometheus to the pods.
        scraper: the folder of what a Prometheus shows to who asks for a certificate.
        pods: those that show metrics, by name.
    """

    plane: ControlPlane
    operator: PrometheusOperator
    proxy: str
    scraper: Path
    pods: Mapping[str, Pod]

    def written(self, name: str) -> Written:
        """Wait until the operator has written what a Prometheus needs, with all monitors and all rules in it."""
        found = wait_until(
            "the operator has taken every monitor and both sets of rules",
            lambda: self.operator.written(MONITORING, name),
            60,
            lambda seen: (
                seen is not None
                and len(seen.configuration["scrape_configs"]) == 4
                and len([path for path in seen.files if path.startswith("rules/")]) == 2
            ),
        )
        assert found is not None
        return found

    def by_pod(self, answer: Sequence[Series]) -> dict[Pod, float]:
        """Give the value of each pod."""
        return {self.pods[each.labels["pod"]]: each.value for each in answer}

    def access(self) -> dict[str, Any]:
        """Say how a Prometheus asks this API server, as its own configuration has it."""
        certificate, key = self.plane.authority.client("prometheus")
        files = {"ca_file": str(self.plane.authority.ca), "cert_file": str(certificate), "key_file": str(key)}
        return {"api_server": self.plane.url, "tls_config": files}


@contextmanager
def monitored(folder: Path, binaries: Path) -> Iterator[Monitored]:
    """Start everything, and end it afterwards."""
    with ExitStack() as stack:
        federation = stack.enter_context(_federation(folder / "federation"))
        operators = stack.enter_context(Operators())
        plane = stack.enter_context(control_plane(folder / "plane", "monitored"))
        operator = PrometheusOperator(binaries, folder / "operator", plane)
        stack.callback(operator.stop)
        _install(plane, folder)
        secured = stack.enter_context(_secured(folder / "hospital"))
        pages: dict[Pod, tuple[int, str]] = {
            (NAMESPACE, "hub-operator"): (_PORT, operators.addresses["operator-hub"]),
            (NAMESPACE, "site-operator"): (_PORT, operators.addresses["operator-north"]),
            (NAMESPACE, "gateway"): (_PORT, federation.addresses()["gateway-north"]),
            (SECURED, "site-operator"): (_SECURE_PORT, secured),
            (SECURED, "gateway"): (_SECURE_PORT, secured),
            (RESEARCH, "aggregator"): (_PORT, federation.addresses()["aggregator"]),
            (ELSEWHERE, "aggregator"): (_PORT, federation.addresses()["aggregator"]),
        }
        pods, ways = {}, {}
        for number, (pod, (port, page)) in enumerate(pages.items(), start=1):
            address = f"192.0.2.{number}"
            pods[_place(plane, pod, address)] = pod
            ways[f"{address}:{port}"] = page
        proxy = stack.enter_context(PodProxy(ways))
        yield Monitored(plane, operator, proxy.url, folder / "hospital/scraper", pods)


@contextmanager
def _federation(folder: Path) -> Iterator[Federation]:
    folder.mkdir()
    with Federation(folder, step_s=STEADY_S) as federation:
        wait_until("its processes", federation.addresses, 90, lambda found: len(found) == len(SITES) + 1)
        yield federation


@contextmanager
def _secured(folder: Path) -> Iterator[str]:
    """Serve a hospital's metrics by mutual TLS, with what `_certify` has written, and give the address."""
    where = Secured("127.0.0.1:0", folder / "served")
    with probes.serve("127.0.0.1:0", Metrics("site", "north").registry, ready=lambda: None, secured=where) as served:
        assert served.secured is not None
        yield f"127.0.0.1:{served.secured.port}"


def _install(plane: ControlPlane, folder: Path) -> None:
    run_kubectl(plane, "apply", "-f", str(ROOT / "operator/crds"))
    for namespace in (MONITORING, NAMESPACE, RESEARCH, SECURED, ELSEWHERE):
        make(plane, "/api/v1/namespaces", {"metadata": {"name": namespace}})
    for namespace in (NAMESPACE, SECURED):
        for claim in ("fedward-gateway-state", "fedward-gateway-audit"):
            make_volume(plane, namespace, claim)
    apply(
        plane,
        [
            *_chart("hub", NAMESPACE, "monitoring"),
            *_chart("site", NAMESPACE, "monitoring"),
            *_chart("site", SECURED, "secure-metrics"),
            *_aggregator(plane),
            _impostor(),
            _certify(folder / "hospital"),
            *rights(),
            *(prometheus(plane, name, special) for name, special in ASKED_FOR.items()),
        ],
    )


def apply(plane: ControlPlane, manifests: list[Manifest]) -> None:
    """Apply objects, as whoever installs them does."""
    done = run_kubectl(plane, "apply", "--server-side", "-f", "-", manifest=yaml.safe_dump_all(manifests))
    assert done.returncode == 0, done.stderr


def _chart(part: str, namespace: str, case: str) -> list[Manifest]:
    """Render a chart without its kinds, which are there, and its hooks."""
    values = VALUES / part / f"{case}.yaml"
    command = ("template", "fedward", CHARTS[part], "--namespace", namespace, "--no-hooks")
    text = run(*command, "--values", values, "--values", "-", given=json.dumps(_BRISK))
    made = [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]
    return [each for each in made if each["kind"] != "CustomResourceDefinition"]


def _aggregator(plane: ControlPlane) -> list[Manifest]:
    """Make an aggregator's Job as the operator does, and its volume."""
    job, _ = jobs.aggregator(JOB["job_name"], replace(jobs.HUB, annotate_aggregators=True))
    del job["metadata"]["ownerReferences"]  # there is no FederatedJob here
    claims = [
        each["persistentVolumeClaim"]["claimName"]
        for each in job["spec"]["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in each
    ]
    for claim in claims:
        make_volume(plane, RESEARCH, claim)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    head = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return [*({**head, "metadata": {"name": each, "namespace": RESEARCH}, "spec": spec} for each in claims), job]


def _impostor() -> Manifest:
    """Make a pod in another namespace that gives itself out as the job's aggregator."""
    container = {"name": "main", "image": "example.org/mine:1", "ports": [{"name": "metrics", "containerPort": _PORT}]}
    labels = {"fedward.io/component": "aggregator"}
    metadata = {"name": "mine", "namespace": ELSEWHERE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def _certify(folder: Path) -> Manifest:
    """Write what a hospital's parts and its Prometheus show, and make the Secret of the latter."""
    now = datetime.now(UTC)
    authority = Authority.create(FEDERATION, now)
    for name, names in (("served", [SERVED_AS]), ("scraper", ["prometheus"])):
        issued = authority.issue(Identity(FEDERATION, "site", name), names, now, timedelta(hours=1))
        issued.write(folder / name)
    files = sorted((folder / "scraper").iterdir())
    data = {each.name: base64.b64encode(each.read_bytes()).decode() for each in files}
    metadata = {"name": "prometheus-tls", "namespace": SECURED}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def _place(plane: ControlPlane, pod: Pod, address: str) -> str:
    """Give a pod an address, as its node would, and return its name."""
    found = the_pod(plane, *pod)
    set_status(plane, found, podIP=address, podIPs=[{"ip": address}])
    return str(found["metadata"]["name"])
