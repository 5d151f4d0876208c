"""Asks Cyclonus, which evaluates NetworkPolicies without a network, what they let through."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.charts.helm import Manifest
from tests.kube.build import cache

MISSING = "no cyclonus: run `make kube` (takes Go), or put it on the PATH"

_VERDICT = re.compile(r"IS ALLOWED\?\s*\|\s*(TRUE|FALSE)")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, as far as policies look at one."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Address:
    """Somebody outside of the cluster's pods."""

    ip: str


Peer = Pod | Address


@dataclass(frozen=True, slots=True)
class Flow:
    """Somebody opens a connection to somebody else."""

    source: Peer
    destination: Peer
    port: int
    protocol: str = "TCP"


def cyclonus() -> Path | None:
    """Find Cyclonus where the other binaries of the tests are, or on the PATH; None where there is none."""
    folder = Path(os.environ.get("KUBEBUILDER_ASSETS") or cache() / "bin")
    if (folder / "cyclonus").exists():
        return folder / "cyclonus"
    found = shutil.which("cyclonus")
    return Path(found) if found else None


def judge(policies: Sequence[Manifest], flows: Sequence[Flow], folder: Path) -> list[bool]:
    """Tell of each flow whether the policies let it through, at its source and at its destination."""
    given = folder / "policies"
    given.mkdir()
    for number, policy in enumerate(policies):
        (given / f"{number}.json").write_text(json.dumps(policy))
    traffic = folder / "traffic.json"
    traffic.write_text(json.dumps([_traffic(flow) for flow in flows]))
    command = [
        str(cyclonus()),
        "analyze",
        "--mode=query-traffic",
        f"--policy-path={given}",
        f"--traffic-path={traffic}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    verdicts = _VERDICT.findall(done.stdout)
    assert len(verdicts) == len(flows), done.stdout + done.stderr
    return [verdict == "TRUE" for verdict in verdicts]


def _traffic(flow: Flow) -> dict[str, object]:
    return {
        "Source": _peer(flow.source),
        "Destination": _peer(flow.destination),
        "ResolvedPort": flow.port,
        "Protocol": flow.protocol,
    }


def _peer(peer: Peer) -> dict[str, object]:
    if isinstance(peer, Address):
        return {"IP": peer.ip}
    namespace = {"kubernetes.io/metadata.name": peer.namespace}
    internal = {"Namespace": peer.namespace, "NamespaceLabels": namespace, "PodLabels": dict(peer.labels)}
    # An address that no rule of ours names, as pods' addresses are not known beforehand.
    return {"Internal": internal, "IP": "10.244.0.10"}
