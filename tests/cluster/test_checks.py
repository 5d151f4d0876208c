"""`helm test` on real API servers: `fedward-operator check` with the rights that the charts give it, and no others."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys

import pytest
from tests.charts.helm import CHARTS, MISSING, VALUES, helm, of_kind, render, run
from tests.cluster.invitations import Invitation, connected, start_invited
from tests.cluster.operators import FEDERATION, GROUP, ROOT, end_pod, grant, make, make_volume, names, resource, the_pod
from tests.cluster.test_joining import secret
from tests.kube.binaries import binaries
from tests.kube.component import Component
from tests.kube.control_plane import free_ports
from tests.kube.waiting import wait_until

from fedward_operator.checks.connection import Server, secure

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(helm() is None, reason=MISSING)]


def allow(plane, part, user, namespace, number):
    """Give a user what the chart gives its check."""
    rights = [each for each in render(part) if each["kind"] in ("Role", "ClusterRole") and is_of_check(each)]
    assert rights
    for role in rights:
        role["metadata"].pop("namespace", None)
        grant(plane, role, user, namespace, number)
    return plane.kubeconfig(user)


def is_of_check(manifest):
    return manifest["metadata"]["labels"].get("app.kubernetes.io/component") == "check"


def check(*arguments):
    """Run a check; return its exit code, what it said by what it looked at, and its output."""
    command = [sys.executable, "-m", "fedward_operator", "check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    said = {}
    for line in done.stdout.splitlines():
        level, _, text = line.partition(" ")
        if level in ("ok", "skipped", "warning", "wrong"):
            said[text.strip().partition(": ")[0]] = level, text.strip().partition(": ")[2]
    return done.returncode, said, done.stdout + done.stderr


class Site:
    """A hospital that has joined, with its operator and its gateway, and the arguments of its check."""

    def __init__(self, federation, invitation):
        self.federation, self.name = federation, invitation.site
        self.operator, _ = start_invited(federation, invitation)
        make_volume(federation.hospital, self.name, "scans")
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        claims = f"/api/v1/namespaces/{self.name}/persistentvolumeclaims"
        make(federation.hospital, claims, {"metadata": {"name": "scans"}, "spec": spec})
        wait_until(
            "the hub hears it", lambda: connected(federation, self.name), is_it=lambda it: it == [("True", "Heard")]
        )
        self.member = federation.folder / "member"
        self.member.mkdir()
        held = secret(federation, self.name, "fedward-gateway-tls")
        for name, content in {**held, "token": secret(federation, self.name, "fedward-hub-access")["token"]}.items():
            (self.member / name).write_bytes(content)
        self.listen, self.metrics = (f"127.0.0.1:{port}" for port in free_ports(2))
        self.gateway = self._start_gateway()
        self.kubeconfig = allow(federation.hospital, "site", f"check-{self.name}", self.name, 0)

    def _start_gateway(self):
        folder, namespace = self.federation.folder, f"/api/v1/namespaces/{self.name}"
        key = self.federation.hospital.request("GET", f"{namespace}/configmaps/fedward-operator-key")
        (folder / "operator.pub").write_text(key["data"]["operator.pub"])
        for name in ("state", "audit"):
            (folder / name).mkdir()
        arguments = [
            *(f"--state={folder / 'state'}", f"--audit={folder / 'audit'}", f"--tls={self.member}"),
            *(f"--operator-key={folder / 'operator.pub'}", f"--listen={self.listen}", f"--metrics={self.metrics}"),
        ]
        return Component([sys.executable, "-m", "fedward_node.gateway", *arguments], folder / "gateway.log")

    def check(self, **changed):
        given = {
            "site": self.name,
            "federation": FEDERATION,
            "namespace": self.name,
            "hub": self.federation.hub.url.removeprefix("https://"),
            "hub-ca": self.federation.folder / f"{self.name}.ca",
            "hub-server-name": "kubernetes.default.svc",
            "member": self.member,
            "operator": metrics_of(self.operator),
            "gateway": self.listen,
            "gateway-metrics": self.metrics,
            "kubeconfig": self.kubeconfig,
        }
        given |= {name.replace("_", "-"): value for name, value in changed.items()}
        return check("site", *(f"--{name}={value}" for name, value in given.items()))


def metrics_of(operator):
    return operator.process.args[-1].removeprefix("--metrics=")


@pytest.fixture
def site(federation):
    federation.start_hub()
    made = Site(federation, Invitation(federation, "north"))
    yield made
    made.gateway.stop()


def test_a_hospital_that_has_joined_passes_and_one_that_is_revoked_does_not(federation, site):
    _, said, output = wait_until("all is well", site.check, is_it=lambda seen: seen[0] == 0)

    assert {about for about, (level, _) in said.items() if level not in ("ok", "skipped")} == set(), output
    for about in (
        "clock",
        "token at the hub",
        "heard by the hub",
        "versions",
        "gateway",
        "TLS to the gateway",
        "policy",
    ):
        assert said[about][0] == "ok", output

    path = f"{GROUP}/federatedsites/{site.name}"
    federation.hub.request("PATCH", path, {"spec": {"revoked": True}}, "application/merge-patch+json")
    _, said, output = wait_until("it is noticed", site.check, is_it=lambda seen: seen[0] == 1)
    assert said["token at the hub"][1].startswith("TokenRefused: the hub does not know it (401"), output
    assert said["TLS to the hub"][0] == "ok"


def test_what_a_hospital_lacks_is_named_by_its_own_api_server(federation, site):
    nobody = federation.hospital.kubeconfig(f"nobody-{site.name}")
    code, said, output = site.check(kubeconfig=nobody)
    assert (code, said["policy"][0]) == (1, "wrong"), output
    assert said["policy"][1].startswith("NotAnswered: the API server does not show it: 403")

    policies = f"{GROUP}/namespaces/{site.name}/sitepolicies"
    spec = federation.hospital.request("GET", policies)["items"][0]["spec"]
    make(federation.hospital, policies, resource("SitePolicy", "another", site.name, spec))
    code, said, output = site.check()
    assert said["policy"][1].startswith("SeveralSitePolicies: there are several: another, "), output
    for name in ("another", site.name):
        federation.hospital.request("DELETE", f"{policies}/{name}")
    code, said, output = site.check()
    assert said["policy"][1].startswith("NoSitePolicy"), output

    site.gateway.stop()
    code, said, output = site.check()
    assert (code, said["gateway"][0], said["TLS to the gateway"][0]) == (1, "wrong", "skipped"), output


class Door:
    """The hub chart's own nginx configuration, with the API server of this test behind it."""

    def __init__(self, folder, plane):
        folder.mkdir()
        config = of_kind(render("hub", values={"domain": FEDERATION}), "ConfigMap")["fedward-door"]["data"][
            "nginx.conf"
        ]
        self.port, health = free_ports(2)
        for old, new in (
            ("listen 8443", f"listen 127.0.0.1:{self.port}"),
            ("listen 8081", f"listen 127.0.0.1:{health}"),
            ("/tmp/nginx.pid", str(folder / "nginx.pid")),
            ("kube-dns.kube-system.svc.cluster.local", "127.0.0.1"),
            ("kubernetes.default.svc.cluster.local:443", plane.url.removeprefix("https://")),
            ("/dev/stdout", str(folder / "access.log")),
        ):
            assert old in config
            config = config.replace(old, new)
        (folder / "nginx.conf").write_text(config)
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        self._process = Component([program, "-e", "stderr", "-c", str(folder / "nginx.conf")], folder / "nginx.log")
        context = ssl.create_default_context(cadata=plane.ca_pem)
        self._process.wait_until(lambda: self._answers(context), 10)

    def _answers(self, context):
        try:
            with secure(Server("127.0.0.1", self.port), context, "kubernetes.default.svc"):
                return True
        except OSError:
            return False

    def stop(self):
        self._process.stop()


def has_nginx():
    return shutil.which("nginx", path="/usr/sbin:/usr/bin") is not None


@pytest.fixture
def door(federation, tmp_path):
    if not has_nginx():
        pytest.skip("no nginx: install it with its stream module")
    made = Door(tmp_path / "door", federation.hub)
    yield made
    made.stop()


def test_a_hub_passes_and_what_it_lacks_is_named(federation, door, tmp_path):
    operator, namespace, number = federation.start_hub(), federation.system, federation.system.rpartition("-")[2]
    kubeconfig = allow(federation.hub, "hub", f"check-hub-{number}", namespace, number)
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    made = {
        "metadata": {"name": "fedward-door-1", "labels": {"kubernetes.io/service-name": "fedward-door"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
        "ports": [],
    }
    make(federation.hub, slices, made)
    storage = {"metadata": {"name": f"fast-{number}"}, "provisioner": "example.org/none"}
    make(federation.hub, "/apis/storage.k8s.io/v1/storageclasses", storage)

    def look(authority=federation.folder / "authority", storage_class=f"fast-{number}"):
        return check(
            *("hub", f"--federation={FEDERATION}", f"--namespace={namespace}", f"--kubeconfig={kubeconfig}"),
            *("--address=localhost:443", f"--door=127.0.0.1:{door.port}", f"--operator={metrics_of(operator)}"),
            *(f"--authority={authority}", f"--storage-class={storage_class}"),
        )

    code, said, output = wait_until("all is well", look, is_it=lambda seen: seen[0] == 0)
    assert {level for level, _ in said.values()} <= {"ok", "skipped"}, output
    for kind in ("FederatedJob", "FederatedSite", "SiteJob", "SitePolicy"):
        assert said[f"kind {kind}"] == ("ok", "as this version has it"), output
    assert said["API server through the door"][0] == "ok"
    assert said["names that are nobody's"][0] == "ok"

    Invitation(federation, "south")
    _, said, output = wait_until("its site is there", look, is_it=lambda seen: "NeverHeard" in seen[2])
    assert said[f"site {federation.site_name('south')}"][0] == "warning", output

    federation.hub.request("DELETE", f"{slices}/fedward-door-1")
    operator.stop()
    door.stop()
    code, said, output = look(tmp_path / "nowhere", "slow")
    assert code == 1
    wrong = {about: text.partition(":")[0] for about, (level, text) in said.items() if level == "wrong"}
    assert wrong == {
        "pods of the door": "DoorWithoutPods",
        "API server through the door": "TlsFailed",
        "operator": "NotReady",
        "authority": "AuthorityMissing",
        "storage class": "StorageClassMissing",
    }, output


DOCTOR = [sys.executable, "-m", "fedward_cli.main", "doctor"]


def doctor(kubeconfig, *arguments):
    """Run the doctor as an administrator does; return its exit code and what it said."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": f"{binaries()}:{os.environ['PATH']}"}
    done = subprocess.run([*DOCTOR, *arguments], capture_output=True, text=True, timeout=120, cwd=ROOT, env=environment)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def installed(federation):
    """Both charts, installed by helm where their pods run without doing anything."""
    namespace = f"installed-{federation.system.rpartition('-')[2]}"
    for plane, part, values in (
        (federation.hub, "hub", {}),
        (federation.hospital, "site", {"hub": {"address": "hub.example.org:443", "ca": federation.hub.ca_pem}}),
    ):
        path = federation.folder / f"{part}.values.json"
        path.write_text(json.dumps({"crds": {"enabled": False}, **values}))
        run(
            *("install", "fedward", CHARTS[part], "--namespace", namespace, "--create-namespace"),
            *("--values", VALUES / part / "defaults.yaml", "--values", path, "--kubeconfig", plane.admin_kubeconfig),
        )
    yield namespace
    for plane in (federation.hub, federation.hospital):
        run("uninstall", "fedward", "--namespace", namespace, "--kubeconfig", plane.admin_kubeconfig)


def test_the_doctor_finds_what_is_wrong_with_installations_as_kubectl_shows_them(federation, installed):
    where = ("-n", installed)
    code, said = doctor(federation.hub.admin_kubeconfig, *where)
    assert (code, said.splitlines()[0]) == (1, f"The hub in the namespace {installed}")
    assert "authority: AuthorityMissing" in said
    assert "storage class: StorageClassMissing" in said
    assert "kind SitePolicy: as this version has it" in said
    assert f"helm test fedward -n {installed}" in said

    code, said = doctor(federation.hospital.admin_kubeconfig, "site", *where)
    assert (code, said.splitlines()[0]) == (1, f"The site in the namespace {installed}")
    assert "certificate of the site: NotJoined" in said
    assert "policy: NoSitePolicy" in said
    assert "claim fedward-gateway-audit: VolumePending" in said

    code, said = doctor(federation.hub.admin_kubeconfig, "site", *where)
    assert (code, "there is no site in the namespace" in said) == (2, True), said
    nobody = federation.hub.kubeconfig(f"nobody-{installed}")
    code, said = doctor(nobody, *where)
    assert (code, "deployments.apps is forbidden" in said) == (2, True), said


@pytest.mark.parametrize("part", ["hub", "site"])
def test_helm_test_waits_for_the_check_and_leaves_its_log(federation, installed, part):
    plane = {"hub": federation.hub, "site": federation.hospital}[part]
    arguments = [
        "test",
        "fedward",
        "--namespace",
        installed,
        "--kubeconfig",
        plane.admin_kubeconfig,
        "--timeout",
        "60s",
    ]
    for code in (1, 0):
        testing = subprocess.Popen([helm(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            pod = the_pod(plane, installed, "check")
            end_pod(plane, pod, code)
            output, _ = testing.communicate(timeout=60)
        finally:
            testing.kill()
        assert (testing.returncode == 0) == (code == 0), output
        # Helm asks for the log of everything that is of the test, so that must be one pod.
        assert output.count("TEST SUITE:") == 1, output
        assert names(plane, f"/api/v1/namespaces/{installed}/pods?labelSelector=app.kubernetes.io/component=check")


def test_the_doctor_passes_over_what_its_reader_may_not_see(federation, installed):
    plane, user = federation.hospital, f"viewer-{installed}"
    binding = {
        "metadata": {"name": "viewer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    make(plane, f"/apis/rbac.authorization.k8s.io/v1/namespaces/{installed}/rolebindings", binding)
    code, said = doctor(plane.kubeconfig(user), "site", "-n", installed)

    assert code == 1
    for unseen in ("secret fedward-gateway-tls", "sitepolicies.fedward.io", "customresourcedefinitions"):
        assert f"skipped  {unseen}: it cannot be seen" in said
    assert "claim fedward-gateway-audit: VolumePending" in said
