"""A node that really runs containers: containerd, kubelet and kube-proxy, in a network namespace of their own."""

from __future__ import annotations

import json
from pathlib import Path

from tests.kube.build import cache
from tests.kube.component import Component
from tests.kube.container_runtime import ContainerRuntime, unmount_below
from tests.kube.control_plane import ControlPlane
from tests.kube.network import Namespace
from tests.kube.waiting import wait_until

_CGROUPS = Path("/sys/fs/cgroup")
_READY_S = 90.0
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
"""Where device plugins find the kubelet: one that is built in, so of several on a machine the last one that started."""

_SHARES = 4 * 1024
"""Of the processors' time; a process outside any group has 1024."""


class Machine:
    """A cluster's one node."""

    def __init__(self, binaries: Path, folder: Path, namespace: Namespace, plane: ControlPlane, dns: str) -> None:
        self._binaries, self._folder, self._namespace, self._plane = binaries, folder, namespace, plane
        self._dns = dns
        self.name = namespace.name
        self.runtime = ContainerRuntime(
            folder / "containerd", cache().parent.parent / "nodes" / namespace.name, namespace
        )
        self._kubelet: Component | None = None
        self._proxy: Component | None = None

    def start(self) -> None:
        """Start everything and wait until the node is ready; images are loaded before."""
        self.start_kubelet()
        self._start_proxy()
        wait_until(f"{self.name} is ready", self.is_ready, _READY_S)

    def start_kubelet(self) -> None:
        """Start the kubelet, the first time or after it was killed."""
        _make_cgroup(self.name)
        root = self._folder / "kubelet"
        root.mkdir(parents=True, exist_ok=True)
        config = self._folder / "kubelet.json"
        config.write_text(json.dumps(self._configuration()))
        kubeconfig = self._plane.kubeconfig(f"system:node:{self.name}", ["system:nodes"])
        self._kubelet = self._start(
            *("kubelet", f"--config={config}", f"--kubeconfig={kubeconfig}", f"--root-dir={root}"),
            *(f"--cert-dir={self._folder / 'kubelet-pki'}", f"--hostname-override={self.name}"),
            f"--node-ip={self._namespace.address}",
        )

    def kill_kubelet(self) -> None:
        """Take the kubelet away; containers go on, and nobody says so."""
        if self._kubelet is not None:
            self._kubelet.kill()
            self._kubelet = None

    def is_ready(self) -> bool:
        """Tell whether the cluster thinks so."""
        nodes = self._plane.request("GET", "/api/v1/nodes")["items"]
        conditions = [
            each for node in nodes if node["metadata"]["name"] == self.name for each in node["status"]["conditions"]
        ]
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def pids(self) -> list[int]:
        """Return the ids of its processes."""
        return [*self.runtime.pids(), *(each.pid for each in (self._kubelet, self._proxy) if each)]

    def stop(self) -> None:
        """End everything that runs on it."""
        self.kill_kubelet()
        if self._proxy is not None:
            self._proxy.stop()
            self._proxy = None
        self.runtime.stop()
        unmount_below(self._folder)

    def _start_proxy(self) -> None:
        kubeconfig = self._plane.kubeconfig("system:kube-proxy")
        self._proxy = self._start(
            *(
                "kube-proxy",
                f"--kubeconfig={kubeconfig}",
                "--proxy-mode=iptables",
                f"--cluster-cidr={self._namespace.pods}",
            ),
            *(f"--hostname-override={self.name}", "--conntrack-max-per-core=0", "--conntrack-min=0"),
            *("--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s"),
            *("--iptables-min-sync-period=0s", "--iptables-sync-period=10s"),
        )

    def _start(self, name: str, *arguments: str) -> Component:
        command = [*self._namespace.host.enter, self._binaries / name, *arguments]
        return Component(command, self._folder / f"{name}.log", name)

    def _configuration(self) -> dict[str, object]:
        resolver = self._folder / "resolv.conf"
        resolver.write_text("")
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": f"unix://{self.runtime.socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.name}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDNS": [self._dns],
            "clusterDomain": "cluster.local",
            "resolvConf": str(resolver),
            "podLogsDir": str(self._folder / "logs"),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": str(self._plane.authority.ca)},
            },
            "authorization": {"mode": "AlwaysAllow"},
            # The disk is shared with all else on this machine.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "maxPods": 110,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "syncFrequency": "10s",
            "nodeStatusUpdateFrequency": "4s",
        }


def _make_cgroup(name: str) -> None:
    """Make a machine's part of every cgroup hierarchy, as its kubelet expects to find it."""
    for hierarchy in _CGROUPS.iterdir():
        if hierarchy.is_symlink() or not hierarchy.is_dir():
            continue
        own = hierarchy / name
        own.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / file).exists():
                (own / file).write_text((hierarchy / file).read_text())
        if (own / "cpu.shares").exists():
            # A machine's worth, where all its pods together would else have one process's.
            (own / "cpu.shares").write_text(str(_SHARES))
