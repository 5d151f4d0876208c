"""Enforces NetworkPolicies on a machine whose pods are wired point to point, which no network plugin of Debian does.

`python -m tests.kube.fence KUBECONFIG NAMESPACE`
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.kube.api import Api
from tests.kube.network_policies import CHAIN, Scene, rules

_EVERY_S = 0.3


def look(api: Api) -> Scene:
    """Read what the API server says."""
    pods = [
        pod
        for pod in api.items("/api/v1/pods")
        if pod["status"].get("podIP")
        and not pod["spec"].get("hostNetwork")
        and pod["status"].get("phase") not in ("Succeeded", "Failed")
    ]
    labels = {
        each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in api.items("/api/v1/namespaces")
    }
    return Scene(pods, labels, api.items("/apis/networking.k8s.io/v1/networkpolicies"))


def main(kubeconfig: str, namespace: str) -> None:
    """Keep the packet filter as the policies say, until told to end."""
    api, enter = Api(Path(kubeconfig)), ["nsenter", f"--net=/var/run/netns/{namespace}"]
    told = ""
    while True:
        try:
            wanted = rules(look(api))
        except OSError as error:
            sys.stderr.write(f"{error}\n")  # an API server that is away, most often
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
