"""A whole cluster of one machine: control plane, node, names and volumes, in a network namespace of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.kube import essentials
from tests.kube.component import Component
from tests.kube.container_runtime import unmount_below
from tests.kube.control_plane import ControlPlane
from tests.kube.machine import Machine
from tests.kube.network import Namespace
from tests.kube.waiting import wait_until


class Cluster:
    """One cluster; its state lies in `folder`, everything of it ends with `stop`."""

    def __init__(self, binaries: Path, folder: Path, network: Namespace) -> None:
        self._binaries, self._folder, self.network = binaries, folder, network
        folder.mkdir(parents=True, exist_ok=True)
        self.plane = ControlPlane(binaries, folder / "plane", network.host)
        dns = essentials.dns_address(network.host.services)
        self.machine = Machine(binaries, folder / "machine", network, self.plane, dns)
        self.volumes = folder / "volumes"
        self._helpers: list[Component] = []

    def start(self, images: Iterable[Path], hosts: Mapping[str, str]) -> None:
        """Start everything, with these images there, and wait until pods can run.

        Args:
            images: archives to load.
            hosts: names out there, and their addresses.
        """
        self.plane.start()
        self.plane.start_controllers()
        self.plane.start_scheduler()
        self.machine.runtime.start()
        needed = essentials.archives(self._binaries, self._folder.parent / "essentials")
        self.machine.runtime.load([*needed, *images])
        items = essentials.manifests(self.network.host.services, hosts)
        self.kubectl("apply", "-f", "-", manifest={"apiVersion": "v1", "kind": "List", "items": items})
        self.machine.start()
        kubeconfig = str(self.plane.admin_kubeconfig)
        self._help("folders", kubeconfig, str(self.volumes), self.machine.name)
        self._help("fence", kubeconfig, self.network.name)
        wait_until("names are answered", self._names_are_answered, 60)

    def kubectl(self, *arguments: str, manifest: object = None) -> str:
        """Run kubectl as the administrator and return what it printed.

        Raises:
            RuntimeError: it says no.
        """
        return self.command("kubectl", *arguments, given=None if manifest is None else json.dumps(manifest))

    def command(self, name: str, *arguments: str, given: str | None = None) -> str:
        """Run kubectl or helm as the administrator and return what it printed.

        Raises:
            RuntimeError: it says no.
        """
        command = [str(self._binaries / name), f"--kubeconfig={self.plane.admin_kubeconfig}", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise RuntimeError(f"{name} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def pids(self) -> list[int]:
        """Return the ids of its processes, in the order in which they were started."""
        return [*self.plane.pids(), *self.machine.pids(), *(each.pid for each in self._helpers)]

    def stop(self) -> None:
        """End every process and container."""
        for each in self._helpers:
            each.stop()
        self.machine.stop()
        self.plane.stop()
        unmount_below(self.volumes)
        self.network.remove()

    def _help(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"tests.kube.{module}", *arguments]
        self._helpers.append(Component(command, self._folder / f"{module}.log", module))

    def _names_are_answered(self) -> bool:
        found = json.loads(self.kubectl("get", "deployment", "coredns", "-n", "kube-system", "-o", "json"))
        return bool(found["status"].get("readyReplicas"))


def hub_and_hospital(binaries: Path, folder: Path) -> tuple[Cluster, Cluster]:
    """Make, and not start, two clusters with a line between them, on which nobody begins to talk to the hospital."""
    hub = Namespace("fw-hub", "10.200.0.1", "10.210.0.0/16", "10.96.0.0/16")
    hospital = Namespace("fw-hospital", "10.200.0.2", "10.211.0.0/16", "10.97.0.0/16")
    for each in (hub, hospital):
        each.make()
    hub.wire(hospital)
    hospital.close()
    return Cluster(binaries, folder / "hub", hub), Cluster(binaries, folder / "hospital", hospital)
