"""One installation for all end-to-end tests of a run."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from tests.e2e.images import archives
from tests.e2e.installation import Installation
from tests.kube.binaries import MISSING, binaries
from tests.kube.container_runtime import unmount_below
from tests.kube.network import CONSOLE
from tests.process.mlflow_gate import Gate, mlflow_server

_NEEDED = ("containerd", "runc", "ctr", "nsenter", "iptables", "ip")


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """Two clusters with the hospitals' data and nothing of ours but images."""
    if binaries() is None:
        pytest.skip(MISSING)
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"real nodes take root and {', '.join(missing) or 'nothing else'}: scripts/prepare_*.sh")
    # Sockets of pods have paths of a hundred characters at most, and pytest's own folders are long.
    folder = Path("/var/tmp/fedward-e2e")
    for left in (folder, Path("/run/fedward")):  # by a run that was killed
        unmount_below(left)
        shutil.rmtree(left, ignore_errors=True)
    made = Installation(folder, archives())
    try:
        made.start()
        yield made
        report = os.environ.get("FEDWARD_E2E_REPORT")
        if report:
            Path(report).write_text(json.dumps(made.seconds, indent=2))
        for what, seconds in made.seconds.items():
            sys.stderr.write(f"{what}: {seconds:.1f} s\n")
    finally:
        made.stop()


@pytest.fixture(scope="session")
def mlflow(bare, tmp_path_factory):
    """A researcher's MLflow server outside of both clusters, behind a gate that asks for a password; it is shut."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        gate = Gate(address, CONSOLE)
        gate.password = "ada:a secret"
        yield gate
        gate.shut()


@pytest.fixture(scope="session")
def federation(bare, mlflow):
    """The hub and three hospitals, installed and joined by the documented commands."""
    servers = ("--set", f"tracking.servers[0].ipBlock.cidr={CONSOLE}/32", "--set", f"tracking.ports={{{mlflow.port}}}")
    bare.install_hub(*MONITORED, "--set", "tracking.enabled=true", *servers)
    bare.hub.kubectl("create", "namespace", "research")
    bare.hub.kubectl("label", "namespace", "research", "pod-security.kubernetes.io/enforce=restricted")
    for name in bare.sites:
        bare.install_site(name, bare.invite(name), *MONITORED)
    return bare


MONITORED = ("--set", "metrics.annotations.enabled=true")
