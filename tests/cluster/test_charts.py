"""The charts on a real API server: all of it is taken and restricted; installed, upgraded, rolled back, uninstalled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts import jobs
from tests.charts.helm import (
    CHARTS,
    MISSING,
    ROOT,
    VALUES,
    HelmError,
    Manifest,
    cases,
    helm,
    pod_templates,
    render,
    run,
)
from tests.cluster.conftest import control_plane, run_kubectl
from tests.cluster.operators import GROUP, make, names, resource
from tests.kube.control_plane import ControlPlane
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster

EVERY = [(part, case) for part in CHARTS for case in cases(part)]
ELSEWHERE = ("Certificate", "TLSRoute", "ServiceMonitor", "PodMonitor", "PrometheusRule", "CustomResourceDefinition")
"""Kinds of cert-manager, the Gateway API and the Prometheus Operator are not on this API server; our own come below."""

NAMESPACE = "fedward"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
DATA = ROOT / "charts/fedward-site/examples/data.yaml"
SPENT = "fedward-gateway-state", "fedward-gateway-audit"


class Cluster:
    """A cluster into which one chart is installed, by its administrator."""

    def __init__(self, part: str, plane: ControlPlane) -> None:
        self.part, self.plane = part, plane
        self._access = ("--kubeconfig", plane.admin_kubeconfig, "--namespace", NAMESPACE)

    def helm(self, verb: str, *arguments: str | Path) -> str:
        """Run helm on the release; raises a HelmError with its words."""
        return run(verb, "fedward", *arguments, *self._access)

    def install(self, chart: Path, *more: str | Path, verb: str = "install", case: str = "defaults") -> str:
        """Install, or upgrade to, a chart."""
        values = VALUES / self.part / f"{case}.yaml"
        return self.helm(verb, chart, "--create-namespace", "--values", values, *more)

    def look(self, kind: str, name: str) -> Manifest | None:
        """Read an object of the release's namespace, if it is there."""
        done = run_kubectl(self.plane, "get", kind, name, "-n", NAMESPACE, "--ignore-not-found", "-o", "json")
        assert done.returncode == 0 or "doesn't have a resource type" in done.stderr, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def left(self) -> set[str]:
        """Name all that bears the release's label, whatever and wherever it is; or say why that cannot be told now."""
        kinds = run_kubectl(self.plane, "api-resources", "--verbs=list", "-o", "name").stdout.split()
        label = "app.kubernetes.io/instance=fedward"
        found = run_kubectl(self.plane, "get", ",".join(kinds), "-A", "-l", label, "-o", "name", "--ignore-not-found")
        return set(found.stdout.split()) if found.returncode == 0 else {found.stderr}


@pytest.fixture(scope="module")
def _helm() -> None:
    if helm() is None:
        pytest.skip(MISSING)


@pytest.fixture(scope="module")
def centre(_helm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that knows nothing of Fedward yet, for the hub's chart."""
    with control_plane(tmp_path_factory.mktemp("centre"), "centre") as plane:
        yield Cluster("hub", plane)


@pytest.fixture(scope="module")
def clinic(_helm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Another one, for the site's."""
    with control_plane(tmp_path_factory.mktemp("clinic"), "clinic") as plane:
        yield Cluster("site", plane)


@pytest.fixture
def before(tmp_path: Path) -> dict[str, Path]:
    """Both charts as an older version had them: a stricter kind, less memory; packaged as a release is."""
    packages = {}
    for part, chart in CHARTS.items():
        old = shutil.copytree(chart, tmp_path / "old" / chart.name)
        description = yaml.safe_load((old / "Chart.yaml").read_text()) | {"version": "0.0.9", "appVersion": "0.0.9"}
        (old / "Chart.yaml").write_text(yaml.safe_dump(description))
        replace(old / "values.yaml", "requests: {cpu: 100m, memory: 128Mi}", "requests: {cpu: 100m, memory: 96Mi}")
        if part == "hub":
            replace(old / "templates/crds/federatedjobs.yaml", "maximum: 100\n", "maximum: 5\n")
        run("package", old, "--destination", tmp_path)
        packages[part] = tmp_path / f"{chart.name}-0.0.9.tgz"
    return packages


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path}: {old}"
    path.write_text(text.replace(old, new))


# ---------------------------------------------------------------- what is rendered


@pytest.fixture(scope="module")
def strict(with_kinds: Sequence[ControlPlane], _helm: None) -> ControlPlane:
    """A cluster with our kinds, and a namespace that lets in nothing but what is restricted."""
    plane = with_kinds[0]
    make(plane, "/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": RESTRICTED}})
    make(plane, "/api/v1/namespaces", {"metadata": {"name": "monitoring"}})  # for dashboards
    for part in CHARTS:
        for each in render(part):
            if each["kind"] == "ServiceAccount":
                make(plane, f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", each)
    return plane


@pytest.mark.parametrize(("part", "case"), EVERY)
def test_the_api_server_takes_every_object_and_knows_every_field_of_it(
    strict: ControlPlane, part: str, case: str
) -> None:
    """Judged by the API server itself: it knows its own schemas, our kinds with their rules, and what is admitted."""
    manifests = [each for each in render(part, case) if each["kind"] not in ELSEWHERE]
    text = yaml.safe_dump_all(manifests)
    command = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")

    done = run_kubectl(strict, *command, manifest=text)

    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    assert len(done.stdout.splitlines()) == len(manifests)


def let_in(plane: ControlPlane, name: str, template: Manifest) -> str:
    """Say what the API server says about a pod of this template: nothing, if it is let in."""
    metadata = {"name": name, "namespace": NAMESPACE, "labels": template["metadata"]["labels"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    done = run_kubectl(plane, "create", "--dry-run=server", "-f", "-", manifest=json.dumps(pod))
    return done.stderr


@pytest.mark.parametrize(("part", "case"), EVERY)
def test_every_pod_is_let_in_where_the_restricted_standard_is_enforced(
    strict: ControlPlane, part: str, case: str
) -> None:
    pods = list(pod_templates(render(part, case)))

    assert len(pods) >= 2
    for name, template in pods:
        assert let_in(strict, name, template) == ""


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(jobs.aggregator("brain")[0], id="aggregator"),
        pytest.param(jobs.training("brain-1"), id="trainer"),
        pytest.param(jobs.inspection(), id="preflight"),
    ],
)
def test_every_pod_that_an_operator_makes_is_let_in_there_too(strict: ControlPlane, made: Manifest) -> None:
    assert let_in(strict, made["metadata"]["name"], made["spec"]["template"]) == ""


@pytest.mark.parametrize("weaker", [{"runAsNonRoot": False}, {"seccompProfile": {"type": "Unconfined"}}])
def test_a_pod_that_keeps_less_to_the_standard_is_not(strict: ControlPlane, weaker: dict[str, Any]) -> None:
    name, template = next(pod_templates(render("hub")))
    template["spec"]["securityContext"] |= weaker

    assert 'violates PodSecurity "restricted:latest"' in let_in(strict, name, template)


# ---------------------------------------------------------------- a hub's life


def job(name: str, tries: int) -> Manifest:
    wanted = {
        "model": {"network": {"name": "UNet"}},
        "data": {"dataset": "brats"},
        "sites": {"names": ["north"]},
        "rounds": {"count": 3},
        "backoffLimit": tries,
    }
    return resource("FederatedJob", name, NAMESPACE, wanted)


def test_a_hub_is_installed_upgraded_rolled_back_uninstalled_and_goes_on_where_it_was(
    centre: Cluster, before: dict[str, Path]
) -> None:
    def submit(name: str, tries: int) -> str:
        """Say why a job was refused: nothing, if it was not."""
        return run_kubectl(centre.plane, "create", "-f", "-", manifest=json.dumps(job(name, tries))).stderr

    def memory() -> str:
        deployment = centre.look("deployment", "fedward-hub-operator")
        assert deployment is not None
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        return str(container["resources"]["requests"]["memory"])

    said = centre.install(before["hub"])
    assert "The hub of fed.example.org is there" in said
    wait_until("the kind is there", lambda: submit("old", 5), is_it=lambda refused: not refused)
    assert "should be less than or equal to 5" in submit("new", 50)
    assert memory() == "96Mi"

    centre.install(CHARTS["hub"], verb="upgrade")
    assert memory() == "128Mi"
    wait_until("the kind is upgraded too", lambda: submit("new", 50), is_it=lambda refused: not refused)

    centre.helm("rollback", "1")
    assert memory() == "96Mi"
    wait_until("the kind as it was", lambda: submit("newer", 50), is_it=bool)
    collection = f"{GROUP}/namespaces/{NAMESPACE}/federatedjobs"
    assert names(centre.plane, collection) == ["new", "old"], "what the newer version took stays"

    uids = {name: centre.look("fjob", name)["metadata"]["uid"] for name in ("old", "new")}  # type: ignore[index]
    centre.helm("uninstall")
    kinds = {f"customresourcedefinition.apiextensions.k8s.io/{path.stem}.fedward.io" for path in crds("hub")}
    wait_until("only the kinds are left", centre.left, is_it=kinds.__eq__)
    assert names(centre.plane, collection) == ["new", "old"]

    centre.install(CHARTS["hub"])
    assert {name: centre.look("fjob", name)["metadata"]["uid"] for name in uids} == uids  # type: ignore[index]
    assert memory() == "128Mi"


def crds(part: str) -> Iterator[Path]:
    return (CHARTS[part] / "templates/crds").glob("*.yaml")


# ---------------------------------------------------------------- a hospital's life


def test_a_wrong_policy_is_told_at_once_and_a_corrected_one_is_taken(clinic: Cluster, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(DATA.read_text().replace("approval: manual", "approval: sometimes"))

    with pytest.raises(HelmError, match=r'spec.approval: Unsupported value: "sometimes"'):
        clinic.install(CHARTS["site"], "--values", wrong)
    assert clinic.look("spol", "north") is None

    clinic.install(CHARTS["site"], "--values", DATA, verb="upgrade")
    policy = clinic.look("spol", "north")
    assert policy is not None
    assert policy["spec"]["approval"] == "manual"

    with pytest.raises(HelmError, match=r'spec.approval: Unsupported value: "sometimes"'):
        clinic.install(CHARTS["site"], "--values", wrong, verb="upgrade")
    assert clinic.look("spol", "north") == policy
    clear(clinic)


def clear(clinic: Cluster) -> None:
    """Begin as on a cluster that never knew Fedward."""
    clinic.helm("uninstall")
    for kind in ("spol", "pvc", "crd"):
        run_kubectl(clinic.plane, "delete", kind, "--all", "-n", NAMESPACE, "--wait=false")
    wait_until("nothing is left", clinic.left, is_it=lambda left: not left)


def test_a_site_is_installed_with_its_policy_upgraded_rolled_back_and_uninstalled(
    clinic: Cluster, before: dict[str, Path], tmp_path: Path
) -> None:
    def policy() -> Manifest:
        found = clinic.look("spol", "north")
        assert found is not None
        return found

    def datasets() -> list[str]:
        return [each["name"] for each in policy()["spec"]["datasets"]]

    other = tmp_path / "other.yaml"
    other.write_text(DATA.read_text().replace("name: brats\n", "name: brats-of-2024\n").replace("manual", "automatic"))

    # The kind and an object of it in one release, in a cluster that knew neither.
    said = clinic.install(before["site"], "--values", DATA)
    assert "Each job waits for a person here to say yes" in said
    assert "its invitation is good until 2026-03-11T12:00:00Z" in said
    assert "Narrow networkPolicy.hub.cidrs" in said
    assert (datasets(), policy()["spec"]["approval"]) == (["brats"], "manual")
    first = policy()["metadata"]["uid"]

    clinic.install(CHARTS["site"], "--values", other, verb="upgrade")
    assert (datasets(), policy()["spec"]["approval"]) == (["brats-of-2024"], "automatic")
    assert policy()["metadata"]["uid"] == first, "a policy that is changed is not another one"

    clinic.helm("rollback", "1")
    assert (datasets(), policy()["spec"]["approval"]) == (["brats"], "manual"), "a rollback takes back what was allowed"

    clinic.install(CHARTS["site"], "--values", other, verb="upgrade")
    clinic.helm("rollback", "4")
    assert datasets() == ["brats-of-2024"]

    volumes = {name: clinic.look("pvc", name)["metadata"]["uid"] for name in SPENT}  # type: ignore[index]
    clinic.helm("uninstall")
    left = {f"customresourcedefinition.apiextensions.k8s.io/{path.stem}.fedward.io" for path in crds("site")}
    left |= {f"persistentvolumeclaim/{name}" for name in SPENT} | {"sitepolicy.fedward.io/north"}
    wait_until("what is kept, and only that, is left", clinic.left, is_it=left.__eq__)

    last = policy()["metadata"]["uid"]
    clinic.install(CHARTS["site"], "--values", DATA)
    assert (datasets(), policy()["metadata"]["uid"]) == (["brats"], last)
    assert {name: clinic.look("pvc", name)["metadata"]["uid"] for name in SPENT} == volumes  # type: ignore[index]
    clear(clinic)


def test_kinds_that_somebody_else_installed_are_named_before_anything_is_done(clinic: Cluster) -> None:
    run_kubectl(clinic.plane, "apply", "-f", str(ROOT / "operator/crds/sitejobs.yaml"))

    with pytest.raises(HelmError, match=r'"sitejobs.fedward.io" in namespace "" exists and cannot be imported'):
        clinic.install(CHARTS["site"])
    assert clinic.left() == set()

    clinic.install(CHARTS["site"], "--take-ownership")
    assert clinic.look("deployment", "fedward-gateway")
