"""One containerd: its own configuration, folders and socket, so that several of them on a machine do not meet.

What it has unpacked is kept from one run to the next: a trainer's image takes a minute or two.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.kube.component import Component
from tests.kube.network import Namespace

PAUSE = "localhost/pause:1"
_PLUGINS = ("/usr/lib/cni", "/opt/cni/bin")
_READY_S = 30.0
_CONFIG = """\
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE nobody may make a process harder to kill.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.accelerated]
      runtime_type = "io.containerd.runc.v2"
"""


class ContainerRuntime:
    """A machine's containerd."""

    def __init__(self, folder: Path, store: Path, machine: Namespace) -> None:
        self._folder, self._store, self._machine = folder, store, machine
        # A socket's path may have a hundred characters at most.
        self._state = Path("/run/fedward") / machine.name
        self.socket = self._state / "containerd.sock"
        self._process: Component | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ComponentError: it died, with the end of its log.
        """
        for folder in (self._folder, self._store, self._state):
            folder.mkdir(parents=True, exist_ok=True)
        plugins = next(each for each in _PLUGINS if Path(each, "ptp").exists())
        config = self._folder / "containerd.toml"
        cni = self._folder / "cni"
        cni.mkdir(exist_ok=True)
        (cni / "pods.conflist").write_text(json.dumps(self._pod_network()))
        config.write_text(
            _CONFIG.format(
                root=self._store, state=self._state, socket=self.socket, pause=PAUSE, plugins=plugins, cni=cni
            )
        )
        command = [*self._machine.host.enter, "containerd", "--config", str(config)]
        self._process = Component(command, self._folder / "containerd.log", "containerd")
        self._process.wait_until(lambda: self._ctr("version").returncode == 0, _READY_S)
        self.end_containers()  # of a run that ended before it could

    def load(self, archives: Iterable[Path]) -> None:
        """Have the images of these archives, and no others.

        Raises:
            RuntimeError: an archive cannot be loaded.
        """
        wanted = {archive: _image_in(archive) for archive in archives}
        there = {}
        for line in self._ctr("images", "list").stdout.splitlines()[1:]:
            name, _, digest, *_ = line.split()
            there[name] = digest
        for name in there.keys() - {name for name, _ in wanted.values()}:
            self._ctr("images", "delete", "--sync", name)
        for archive, (name, digest) in wanted.items():
            if there.get(name) == digest:
                continue
            done = self._ctr("images", "import", str(archive))
            if done.returncode:
                raise RuntimeError(f"{archive}: {done.stderr.strip()}")

    def pid_of(self, pod: Mapping[str, Any]) -> int:
        """Find the process of a pod's first container.

        Raises:
            LookupError: it does not run.
        """
        found = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        for line in self._ctr("tasks", "list").stdout.splitlines():
            task, pid, *_ = line.split()
            if task == found:
                return int(pid)
        raise LookupError(f"{pod['metadata']['name']} does not run")

    def pids(self) -> list[int]:
        """Return the ids of its processes."""
        return [self._process.pid] if self._process else []

    def stop(self) -> None:
        """End every container, and it."""
        if self._process is None:
            return
        self.end_containers()
        self._process.stop()
        self._process = None
        unmount_below(self._state)
        shutil.rmtree(self._state, ignore_errors=True)

    def end_containers(self) -> None:
        """End every container, and remove the network of every pod."""
        networks: set[Path] = set()
        for container in self._ctr("containers", "list", "--quiet").stdout.split():
            namespaces = json.loads(self._ctr("containers", "info", container).stdout)["Spec"]["linux"]["namespaces"]
            networks |= {Path(each["path"]) for each in namespaces if each["type"] == "network" and "path" in each}
            self._ctr("tasks", "delete", "--force", container)
            self._ctr("containers", "delete", container)
        for network in networks:
            subprocess.run(["ip", "netns", "delete", network.name], capture_output=True)

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def _pod_network(self) -> dict[str, object]:
        # Point to point: what one pod sends another passes the machine's firewall, as between two machines.
        routes = {"ranges": [[{"subnet": self._machine.pods}]], "routes": [{"dst": "0.0.0.0/0"}]}
        ipam = {"type": "host-local", "dataDir": str(self._folder / "addresses"), **routes}
        pods = {"type": "ptp", "ipMasq": True, "mtu": 1500, "ipam": ipam}
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {"cniVersion": "0.4.0", "name": "pods", "plugins": [pods, ports]}


def _image_in(archive: Path) -> tuple[str, str]:
    """Read off an archive its one image's name and, where it is an OCI archive, its digest."""
    with tarfile.open(archive) as tar:
        if "index.json" in tar.getnames():
            (entry,) = json.load(tar.extractfile("index.json"))["manifests"]
            return entry["annotations"]["org.opencontainers.image.ref.name"], entry["digest"]
        (described,) = json.load(tar.extractfile("manifest.json"))
        return described["RepoTags"][0], ""


def unmount_below(folder: Path) -> None:
    """Unmount what containers and kubelets have mounted below a folder."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((each for each in mounts if each.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], capture_output=True)
