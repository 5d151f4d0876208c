"""Enforces NetworkPolicies on a machine whose pods are wired point to point, which no network plugin of Debian does.

`python -m tests.kube.fence KUBECONFIG NAMESPACE`
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from tests.kube.binaries import binaries
from tests.kube.network_policies import CHAIN, Scene, rules

_EVERY_S = 0.3


def look(kubectl: list[str]) -> Scene:
    """Read what the API server says."""
    found = {kind: _read(kubectl, kind) for kind in ("pods", "namespaces", "networkpolicies")}
    pods = [
        pod
        for pod in found["pods"]
        if pod["status"].get("podIP")
        and not pod["spec"].get("hostNetwork")
        and pod["status"].get("phase") not in ("Succeeded", "Failed")
    ]
    labels = {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in found["namespaces"]}
    return Scene(pods, labels, found["networkpolicies"])


def _read(kubectl: list[str], kind: str) -> list[dict[str, Any]]:
    command = [*kubectl, "get", kind, "--all-namespaces", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    items: list[dict[str, Any]] = json.loads(done.stdout)["items"]
    return items


def main(kubeconfig: str, namespace: str) -> None:
    """Keep the packet filter as the policies say, until told to end."""
    found = binaries()
    assert found is not None
    kubectl = [str(found / "kubectl"), f"--kubeconfig={kubeconfig}"]
    enter = ["nsenter", f"--net=/var/run/netns/{namespace}"]
    told = ""
    while True:
        try:
            wanted = rules(look(kubectl))
        except subprocess.CalledProcessError as error:
            sys.stderr.write(error.stderr)  # an API server that is away, most often
        else:
            if wanted != told:
                subprocess.run([*enter, "iptables-restore", "--noflush"], input=wanted, text=True, check=True)
                if not told:
                    for chain in ("INPUT", "FORWARD"):
                        subprocess.run([*enter, "iptables", "-I", chain, "-j", CHAIN], check=True)
                told = wanted
        time.sleep(_EVERY_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
