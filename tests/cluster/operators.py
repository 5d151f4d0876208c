"""The operator's own processes for tests, each with exactly the rights that it is installed with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.kube.control_plane import ControlPlane, free_ports
from tests.kube.waiting import wait_until

from fedward_protocol.pki import Authority

ROOT = Path(__file__).resolve().parents[2]
FEDERATION = "fed.example.org"
HUB_NAMESPACE = "fedward-system"
GROUP = "/apis/fedward.io/v1alpha1"


POLICY = {
    "datasets": [{"name": "brats", "volume": {"persistentVolumeClaim": {"claimName": "scans"}}}],
    "gpus": {"count": 1, "nodeSelector": {"type": "kwok"}},
    "concurrency": 4,
}
"""What the hospitals of these tests allow, unless told otherwise."""


class Operator:
    """One process, its log and its metrics."""

    def __init__(self, folder: Path, name: str, arguments: list[str], crash: tuple[str, int] | None) -> None:
        self.name, self.arguments = name, arguments
        self._port = free_ports(1)[0]
        self.log = folder / f"{name}.log"
        module = ["tests.cluster.crashing", *map(str, crash)] if crash else ["fedward_operator"]
        command = [sys.executable, "-m", *module, *arguments, f"--metrics=127.0.0.1:{self._port}"]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=ROOT, env={**os.environ, "POD_NAME": name}
            )

    def get(self, path: str) -> str | None:
        """Ask for /metrics, /readyz or /healthz; None while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.read().decode()}"
        except OSError:
            return None

    def metric(self, name: str, **labels: str) -> float:
        """Sum a metric's samples that have these labels; a label may be one of several, `a|b`."""
        total = 0.0
        for line in (self.get("/metrics") or "").splitlines():
            match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if match and all(re.search(rf'{key}="({value})"', match[1] or "") for key, value in labels.items()):
                total += float(match[2])
        return total

    def kill(self) -> None:
        """End it as the kernel does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Federation:
    """A hub and hospitals of one test: namespaces, rights, keys and operators."""

    def __init__(self, hub: ControlPlane, hospital: ControlPlane, folder: Path, number: int) -> None:
        self.hub, self.hospital, self.folder = hub, hospital, folder
        self.namespace, self.system = f"research-{number}", f"{HUB_NAMESPACE}-{number}"
        self.number = number
        self.running: list[Operator] = []
        self._authority = folder / "authority"
        self._authority.mkdir()
        authority = Authority.create(FEDERATION, datetime.now(UTC))
        (self._authority / "tls.crt").write_bytes(authority.ca_pem)
        (self._authority / "tls.key").write_bytes(authority.key_pem)
        self._key = folder / "signing.key"
        self._key.write_bytes(
            Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        for name in (self.namespace, self.system):
            make(hub, "/api/v1/namespaces", {"metadata": {"name": name}})
        self.hub_user = f"fedward-hub-{number}"
        for document in yaml.safe_load_all((ROOT / "operator/rbac/hub.yaml").read_text()):
            grant(hub, document, self.hub_user, self.system, number)

    def site_name(self, site: str) -> str:
        """Name a site so that no other test has one of that name."""
        return f"{site}-{self.number}"

    def invite(self, site: str, policy: dict | None = None) -> str:
        """Make a FederatedSite, its mailbox and its rights, and the hospital's namespace; return its name."""
        name = self.site_name(site)
        make(self.hub, f"{GROUP}/federatedsites", resource("FederatedSite", name, None, {}))
        make(self.hub, "/api/v1/namespaces", {"metadata": {"name": f"fedward-site-{name}"}})
        mailbox = yaml.safe_load((ROOT / "cli/fedward_cli/cluster/rights/mailbox.yaml").read_text())
        grant(self.hub, mailbox, f"site-{name}", f"fedward-site-{name}", self.number)
        make(self.hospital, "/api/v1/namespaces", {"metadata": {"name": name}})
        rights = yaml.safe_load((ROOT / "operator/rbac/site.yaml").read_text())
        grant(self.hospital, rights, f"operator-{name}", name, self.number)
        if policy is not None:
            make(self.hospital, f"{GROUP}/namespaces/{name}/sitepolicies", resource("SitePolicy", name, name, policy))
        make_volume(self.hospital, name, "scans")
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        claims = f"/api/v1/namespaces/{name}/persistentvolumeclaims"
        make(self.hospital, claims, {"metadata": {"name": "scans"}, "spec": spec})
        return name

    def start_hub(
        self, crash: tuple[str, int] | None = None, more: Sequence[str] = (), authority: Sequence[str] = ()
    ) -> Operator:
        """Start an operator in the hub role; one with `crash` dies before or after its n-th write.

        Its authority is read from a folder, unless `authority` are other arguments for it.
        """
        made = authority or [f"--authority={self._authority}"]
        return self._start(
            f"hub-{len(self.running)}",
            [
                *("hub", f"--kubeconfig={self.hub.kubeconfig(self.hub_user)}", f"--namespace={self.system}"),
                *(f"--federation={FEDERATION}", "--door=hub.example.org:443", *made),
                *("--aggregator-image=example.org/aggregator:1", "--trainer-image=example.org/trainer:1"),
                *more,
            ],
            crash,
        )

    def start_site(self, name: str, crash: tuple[str, int] | None = None) -> Operator:
        """Start an operator in the site role."""
        return self._start(
            f"{name}-{len(self.running)}",
            [
                *("site", f"--site={name}", f"--namespace={name}", f"--federation={FEDERATION}"),
                f"--kubeconfig={self.hospital.kubeconfig(f'operator-{name}')}",
                f"--hub-kubeconfig={self.hub.kubeconfig(f'site-{name}')}",
                *(f"--signing-key={self._key}", "--trainer-image=example.org/trainer:1", "--gateway=gateway:8443"),
            ],
            crash,
        )

    def start_invited_site(self, name: str, authority: Path, token: Path) -> Operator:
        """Start an operator that has to join first."""
        return self._start(
            f"{name}-{len(self.running)}",
            [
                *("site", f"--site={name}", f"--namespace={name}", f"--federation={FEDERATION}"),
                f"--kubeconfig={self.hospital.kubeconfig(f'operator-{name}')}",
                *(f"--hub={self.hub.url.removeprefix('https://')}", f"--hub-ca={authority}", f"--invitation={token}"),
                *("--hub-server-name=localhost", "--trainer-image=example.org/trainer:1", "--gateway=gateway:8443"),
            ],
            None,
        )

    def lease(self, name: str) -> str:
        """Say when a site's heartbeat was heard last."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/fedward-site-{name}/leases/fedward-site"
        return str(self.hub.request("GET", path)["spec"]["renewTime"])

    def heartbeat(self, name: str) -> None:
        """Beat once for a site that runs no operator."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        labels = {"fedward.io/component": "site"}
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "fedward-site", "labels": labels},
            "spec": {"holderIdentity": name, "renewTime": now},
        }
        path = (
            f"/apis/coordination.k8s.io/v1/namespaces/fedward-site-{name}/leases/fedward-site?fieldManager=t&force=true"
        )
        self.hub.request("PATCH", path, lease, "application/apply-patch+yaml")

    def submit(self, name: str, sites: list[str], *, volume: bool = True, **spec: object) -> None:
        """Apply a FederatedJob, with a volume for its aggregator."""
        if volume:
            make_volume(self.hub, self.namespace, f"{name}-aggregator")
        make(self.hub, f"{GROUP}/namespaces/{self.namespace}/federatedjobs", self.job(name, sites, **spec))

    def job(self, name: str, sites: list[str], **spec: object) -> dict:
        """Make a small FederatedJob."""
        wanted = {
            "model": {"network": {"name": "UNet"}},
            "data": {"dataset": "brats"},
            "sites": {"names": sites},
            "rounds": {"count": 3},
            "resources": {"gpu": {"count": 1}, "memory": "4Gi"},
        }
        return resource("FederatedJob", name, self.namespace, wanted | spec)

    def patch(self, name: str, spec: dict) -> None:
        """Change a FederatedJob's spec."""
        path = f"{GROUP}/namespaces/{self.namespace}/federatedjobs/{name}"
        self.hub.request("PATCH", path, {"spec": spec}, "application/merge-patch+json")

    def found(self, name: str) -> dict:
        """Read a FederatedJob."""
        return self.hub.request("GET", f"{GROUP}/namespaces/{self.namespace}/federatedjobs/{name}")

    def condition(self, name: str, kind: str) -> dict:
        """Read one of its conditions, empty if it is not there."""
        said = self.found(name).get("status", {}).get("conditions", [])
        return next((each for each in said if each["type"] == kind), {})

    def wait_for(self, name: str, kind: str, status: str, reason: str | None = None, seconds: float = 30.0) -> dict:
        """Wait for a condition of a FederatedJob."""
        return wait_until(
            f"{name}: {kind}={status} {reason or ''}",
            lambda: self.condition(name, kind),
            seconds,
            lambda seen: seen.get("status") == status and reason in (None, seen["reason"]),
        )

    def logs(self) -> str:
        """Read what every operator said."""
        return "".join(f"---- {operator.log.name}\n{operator.log.read_text()}" for operator in self.running)

    def stop(self) -> None:
        """End every operator."""
        for operator in self.running:
            if operator.process.poll() is None:
                operator.kill()
        for job in self.hub.request("GET", f"{GROUP}/federatedjobs")["items"]:
            self._remove(f"{GROUP}/namespaces/{job['metadata']['namespace']}/federatedjobs/{job['metadata']['name']}")
        for site in self.hub.request("GET", f"{GROUP}/federatedsites")["items"]:
            self._remove(f"{GROUP}/federatedsites/{site['metadata']['name']}")
        for part in self.hospital.request("GET", f"{GROUP}/sitejobs")["items"]:
            where = f"{GROUP}/namespaces/{part['metadata']['namespace']}/sitejobs"
            self._remove(f"{where}/{part['metadata']['name']}", self.hospital)

    def _remove(self, path: str, plane: ControlPlane | None = None) -> None:
        """Delete what the next test's operators would otherwise look after, or whose GPUs it needs."""
        plane, free = plane or self.hub, {"metadata": {"finalizers": None}}
        try:
            plane.request("PATCH", path, free, "application/merge-patch+json")
            plane.request("DELETE", path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def restart(self, operator: Operator, crash: tuple[str, int] | None = None) -> Operator:
        """Start an operator again that has ended, as the kubelet does: in the same pod."""
        assert operator.process.poll() is not None
        return self._start(operator.name, operator.arguments, crash)

    def _start(self, name: str, arguments: list[str], crash: tuple[str, int] | None) -> Operator:
        operator = Operator(self.folder, name, arguments, crash)
        self.running.append(operator)
        return operator


def resource(kind: str, name: str, namespace: str | None, spec: object) -> dict:
    """Make a custom resource."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "fedward.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def make(plane: ControlPlane, path: str, document: dict) -> dict:
    """Create an object."""
    return plane.request("POST", path, document)


def names(plane: ControlPlane, path: str) -> list[str]:
    """Name the objects of a collection."""
    return [item["metadata"]["name"] for item in plane.request("GET", path)["items"]]


def jobs(plane: ControlPlane, namespace: str) -> list[str]:
    """Name a namespace's Jobs that take part in FederatedJobs."""
    return names(plane, f"/apis/batch/v1/namespaces/{namespace}/jobs?labelSelector=fedward.io/component!=preflight")


def site_jobs(plane: ControlPlane, namespace: str) -> list[str]:
    """Name a namespace's SiteJobs."""
    return names(plane, f"{GROUP}/namespaces/{namespace}/sitejobs")


def the_pod(plane: ControlPlane, namespace: str, component: str) -> dict:
    """Wait for the one pod of a component that has not ended, and that a node has, and return it."""
    path = f"/api/v1/namespaces/{namespace}/pods?labelSelector=fedward.io/component={component}"

    def look() -> list[dict]:
        pods = plane.request("GET", path)["items"]
        return [
            pod for pod in pods if pod["status"].get("phase") == "Running" and pod["status"].get("containerStatuses")
        ]

    return wait_until(f"a pod of the {component} runs in {namespace}", look)[0]


def set_status(plane: ControlPlane, pod: dict, **status: object) -> None:
    """Say of a pod what a kubelet would."""
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
    plane.request("PATCH", path, {"status": status}, "application/merge-patch+json")


def container(pod: dict, **state: object) -> list[dict]:
    """Make the status of a pod's container that is in this state."""
    first = pod["spec"]["containers"][0]
    ready = {"ready": False, "restartCount": 0, "imageID": "", "image": first["image"]}
    return [{"name": first["name"], "state": state} | ready]


def end_pod(plane: ControlPlane, pod: dict, code: int, reason: str = "Error", message: str = "") -> None:
    """End a pod as a container that exits does."""
    ended = {"exitCode": code, "reason": reason if code else "Completed", "message": message}
    phase = "Failed" if code else "Succeeded"
    set_status(
        plane,
        pod,
        phase=phase,
        containerStatuses=container(pod, terminated=ended),
        conditions=[{"type": "Ready", "status": "False"}],
    )


def make_volume(plane: ControlPlane, namespace: str, claim: str) -> None:
    """Make the volume that a claim will be bound to."""
    spec = {
        "capacity": {"storage": "100Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": f"/nowhere/{namespace}/{claim}"},
        "claimRef": {"namespace": namespace, "name": claim},
    }
    make(plane, "/api/v1/persistentvolumes", {"metadata": {"name": f"{namespace}-{claim}"}, "spec": spec})


def grant(plane: ControlPlane, role: dict, user: str, namespace: str, number: int) -> None:
    """Create a role and bind it to a user."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    role = json.loads(json.dumps(role))
    within = "" if role["kind"] == "ClusterRole" else f"/namespaces/{namespace}"
    if not within:
        role["metadata"]["name"] += f"-{number}"
    make(plane, f"{rbac}{within}/{role['kind'].lower()}s", role)
    binding = {
        "metadata": {"name": role["metadata"]["name"]},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    make(plane, f"{rbac}{within}/{role['kind'].lower()}bindings", binding)
