"""A federation as its people install it: a hub, and three hospitals of which one shares the hub's cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.e2e import prometheus
from tests.e2e.phantom_data import provide
from tests.kube.binaries import binaries
from tests.kube.cluster import Cluster, hub_and_hospital
from tests.kube.device_plugin import DevicePlugin
from tests.kube.machine import DEVICE_PLUGINS
from tests.kube.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "fed.example.org"
DOOR_PORT = 30443
RESEARCH = "research"
GPU = "nvidia.com/gpu"

_AT_HUB = ("operator", "aggregator", "gateway", "trainer", "door", "tracker", "prometheus")
_AT_HOSPITAL = ("operator", "gateway", "trainer")
_INSTALL_S = "180s"


@dataclass(frozen=True, slots=True)
class Site:
    """A hospital: its cluster, and its namespace there."""

    name: str
    cluster: Cluster
    namespace: str

    @property
    def mailbox(self) -> str:
        """Where it finds at the hub what it is asked."""
        return f"fedward-site-{self.name}"

    @property
    def shares_cluster(self) -> bool:
        """Whether somebody else's chart has brought the kinds into its cluster."""
        return self.name != "north"


class Installation:
    """Everything of one federation; its state lies in `folder`."""

    def __init__(self, folder: Path, images: Mapping[str, Path]) -> None:
        found = binaries()
        assert found is not None
        self.folder, self._binaries, self._images = folder, found, dict(images)
        self.hub, self.hospital = hub_and_hospital(found, folder)
        self.sites = {
            site.name: site
            for site in (
                Site("north", self.hospital, "north"),
                Site("south", self.hospital, "south"),
                Site("west", self.hub, "west"),
            )
        }
        self.seconds: dict[str, float] = {}
        self.gpus: DevicePlugin | None = None

    def start(self) -> None:
        """Start both clusters, with the images loaded and the hospitals' data there."""
        started = time.monotonic()
        data = provide(self.folder / "data")
        self._images["prometheus"] = prometheus.archive(self.folder, self._binaries)
        for cluster, needed in ((self.hub, _AT_HUB), (self.hospital, _AT_HOSPITAL)):
            cluster.start([self._images[name] for name in needed], {DOMAIN: self.hub.network.address})
        self.gpus = DevicePlugin(DEVICE_PLUGINS, GPU, 2)
        self.gpus.start()
        for site in self.sites.values():
            lend(site, data[site.name])
        self.seconds["clusters up, images loaded"] = time.monotonic() - started

    def install_hub(self, *more: str) -> None:
        """`helm install` at the hub."""
        started = time.monotonic()
        self.hub.command(
            *("helm", "install", "fedward", str(ROOT / "charts/fedward-hub"), "-n", "fedward", "--create-namespace"),
            *("--set", f"domain={DOMAIN}", "--set", "global.imageRegistry=localhost", "--set", "door.replicas=1"),
            *("--set", f"door.port={DOOR_PORT}", "--set", "door.service.type=NodePort"),
            *("--set", f"door.service.nodePort={DOOR_PORT}", "--set", "aggregator.storage=200Mi"),
            *("--wait", "--timeout", _INSTALL_S, *more),
        )
        self.seconds["helm install at the hub"] = time.monotonic() - started

    def invite(self, name: str, *more: str) -> Path:
        """`fedward invite NAME > NAME.yaml` at the hub."""
        values = self.folder / f"{name}.yaml"
        values.write_text(self.fedward(self.hub, "invite", name, *more))
        return values

    def install_site(self, name: str, invitation: Path, *more: str) -> None:
        """`helm install` at a hospital, and wait until it has joined."""
        site, started = self.sites[name], time.monotonic()
        data = self.folder / f"{name}-data.yaml"
        data.write_text(yaml.safe_dump({"policy": policy(site)}))
        if site.shares_cluster:
            more = ("--set", "crds.enabled=false", *more)
        site.cluster.command(
            *("helm", "install", "fedward-site", str(ROOT / "charts/fedward-site"), "-n", site.namespace),
            *("-f", str(invitation), "-f", str(data), "--set", "global.imageRegistry=localhost"),
            *("--set", "gateway.state.size=200Mi", "--set", "gateway.audit.size=50Mi"),
            *("--wait", "--timeout", _INSTALL_S, *more),
        )
        self.seconds[f"helm install at {name}, joined"] = time.monotonic() - started

    def upgrade_hub(self, *more: str) -> None:
        """`helm upgrade` at the hub."""
        self._upgrade(self.hub, "fedward", "fedward-hub", "fedward", *more)

    def upgrade_site(self, name: str, *more: str) -> None:
        """`helm upgrade` at a hospital."""
        site = self.sites[name]
        self._upgrade(site.cluster, "fedward-site", "fedward-site", site.namespace, *more)

    def _upgrade(self, cluster: Cluster, release: str, chart: str, namespace: str, *more: str) -> None:
        wait = ("--wait", "--timeout", _INSTALL_S)
        upgrade = ("upgrade", release, str(ROOT / "charts" / chart), "-n", namespace, "--reset-then-reuse-values")
        cluster.command("helm", *upgrade, *wait, *more)

    def fedward(self, cluster: Cluster, *arguments: str, check: bool = True) -> str:
        """Run the `fedward` command towards one cluster, and return what it printed."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(cluster.plane.admin_kubeconfig),
            "PATH": f"{self._binaries}:{os.environ['PATH']}",
        }
        command = [str(Path(sys.executable).parent / "fedward"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd=ROOT)
        if check and done.returncode:
            raise RuntimeError(f"fedward {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def apply(self, name: str, sites: Sequence[str] = ("north", "south", "west"), **spec: Any) -> dict[str, Any]:
        """`kubectl apply` the example's job, under this name and for these sites."""
        job = example()
        job["metadata"] = {"name": name, "namespace": RESEARCH}
        job["spec"] |= {"sites": {"names": list(sites)}, **spec}
        self.hub.kubectl("apply", "-f", "-", manifest=job)
        return job

    def job(self, name: str) -> dict[str, Any]:
        """Read a FederatedJob."""
        return self.hub.plane.request("GET", f"/apis/fedward.io/v1alpha1/namespaces/{RESEARCH}/federatedjobs/{name}")

    def status(self, name: str) -> dict[str, Any]:
        """Read its status."""
        found: dict[str, Any] = self.job(name).get("status") or {}
        return found

    def wait_for_round(self, name: str, number: int, seconds: float = 240) -> dict[str, Any]:
        """Wait until a round is open, or was."""
        return wait_until(
            f"{name} is in round {number}",
            lambda: self.status(name),
            seconds,
            lambda seen: seen.get("round", 0) >= number or ended(seen),
        )

    def wait_for_end(self, name: str, seconds: float = 600) -> dict[str, Any]:
        """Wait until a job has ended, and return its status."""
        return wait_until(f"{name} has ended", lambda: self.status(name), seconds, ended)

    def connected(self) -> dict[str, tuple[str, str]]:
        """Say of every site whether the hub hears it, and why not."""
        found = self.hub.plane.request("GET", "/apis/fedward.io/v1alpha1/federatedsites")["items"]
        return {
            site["metadata"]["name"]: (each["status"], each["reason"])
            for site in found
            for each in site.get("status", {}).get("conditions", ())
            if each["type"] == "Connected"
        }

    def stop(self) -> None:
        """End everything."""
        if self.gpus is not None:
            self.gpus.stop()
        for cluster in (self.hub, self.hospital):
            cluster.stop()


def ended(status: Mapping[str, Any]) -> str | None:
    """Say how a job has ended; None while it has not."""
    held = [each["type"] for each in status.get("conditions") or () if each["status"] == "True"]
    return next((kind for kind in ("Completed", "Failed") if kind in held), None)


def example() -> dict[str, Any]:
    """Read the job of examples/brain-tumour.yaml."""
    documents = yaml.safe_load_all((ROOT / "examples/brain-tumour.yaml").read_text())
    job: dict[str, Any] = next(each for each in documents if each["kind"] == "FederatedJob")
    # 2e-3 is a number to kubectl, and text to this reader of YAML.
    optimizer = job["spec"]["training"]["optimizer"]
    optimizer["lr"] = float(optimizer["lr"])
    return job


def policy(site: Site) -> dict[str, Any]:
    """Say what a hospital of these tests allows."""
    spec: dict[str, Any] = {
        "datasets": [
            {
                "name": "brats",
                "format": "brats2023",
                "volume": {"persistentVolumeClaim": {"claimName": "brats-scans"}},
                "share": "counts",
            }
        ],
        "concurrency": 2,
        "state": {"size": "500Mi"},
        "limits": {"cpu": "500m", "memory": "4Gi"},
    }
    if site.name == "north":
        spec |= {"gpus": {"resource": GPU, "count": 1}}
    elif site.name == "south":
        # Bounds what one hospital's update may weigh, and has its gateway rewrite what leaves.
        spec |= {"withoutGpu": "train", "privacy": {"floor": [{"name": "normClip", "maxNorm": 50}]}}
    return spec


def lend(site: Site, folder: Path) -> None:
    """Make a hospital's namespace, which admits nothing but restricted pods, and the volume of its scans."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    name = f"scans-{site.name}"
    hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": [site.cluster.machine.name]}
    room = {"storage": "1Gi"}
    items = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": site.namespace, "labels": labels}},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": room,
                "accessModes": ["ReadOnlyMany"],
                "storageClassName": "scans",
                "claimRef": {"namespace": site.namespace, "name": "brats-scans"},
                "local": {"path": str(folder)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"namespace": site.namespace, "name": "brats-scans"},
            "spec": {
                "accessModes": ["ReadOnlyMany"],
                "storageClassName": "scans",
                "volumeName": name,
                "resources": {"requests": room},
            },
        },
    ]
    site.cluster.kubectl("apply", "-f", "-", manifest={"apiVersion": "v1", "kind": "List", "items": items})


def pods(cluster: Cluster, namespace: str, component: str) -> list[dict[str, Any]]:
    """Read the pods of a component that have not ended."""
    path = f"/api/v1/namespaces/{namespace}/pods?labelSelector=fedward.io/component={component}"
    found = cluster.plane.request("GET", path)["items"]
    return [pod for pod in found if pod["status"].get("phase") in ("Pending", "Running")]


def has_successor(cluster: Cluster, lost: Mapping[str, Any]) -> bool:
    """Tell whether another container than the one in `lost`, a pod as it was, takes connections in its place."""
    metadata = lost["metadata"]
    component = metadata["labels"]["fedward.io/component"]
    before = {each["containerID"] for each in lost["status"]["containerStatuses"]}
    return any(
        each["ready"] and each.get("containerID") not in before
        for pod in pods(cluster, metadata["namespace"], component)
        for each in pod["status"].get("containerStatuses") or ()
    )


def volume(cluster: Cluster, namespace: str, claim: str) -> Path:
    """Find the folder of a claim's volume on this machine."""
    found = json.loads(cluster.kubectl("get", "pvc", claim, "-n", namespace, "-o", "json"))
    bound = json.loads(cluster.kubectl("get", "pv", found["spec"]["volumeName"], "-o", "json"))
    return Path(bound["spec"]["local"]["path"])
