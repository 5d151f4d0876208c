"""The `fedward` command as people at a hub or a hospital run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from tests.cluster.operators import FEDERATION, make
from tests.kube.binaries import binaries
from tests.kube.control_plane import ControlPlane

from fedward_cli.cluster.kubectl import ClusterError, Kubectl


def fedward(plane: ControlPlane, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command as an administrator of a cluster, who types `answer`."""
    environment = {
        **os.environ,
        "KUBECONFIG": str(plane.admin_kubeconfig),
        "PATH": f"{binaries()}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "fedward_cli.main", *arguments]
    return subprocess.run(command, env=environment, input=answer, capture_output=True, text=True, timeout=60)


def kubectl_of(plane: ControlPlane) -> Kubectl:
    """Give what the command's own functions run kubectl by, as an administrator of a cluster."""

    def run(arguments: Sequence[str], given: str | None = None) -> str:
        command = [str(binaries() / "kubectl"), f"--kubeconfig={plane.admin_kubeconfig}", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise ClusterError(done.stderr)
        return done.stdout

    return run


def describe_hub(plane: ControlPlane, namespace: str) -> None:
    """Make the ConfigMap by which the chart says what the hub is."""
    said = {"federation": FEDERATION, "door": "hub.example.org:443", "authority": "fedward-authority"}
    make(plane, f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "fedward-hub"}, "data": said})
