"""A control plane for the cluster tests, and a namespace of its own for each."""

from __future__ import annotations

import functools
import itertools
import subprocess

import pytest
from tests.kube.binaries import MISSING, binaries
from tests.kube.control_plane import ControlPlane

_numbers = itertools.count()


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """An API server with its controllers; it outlives the tests of one run."""
    folder = binaries()
    if folder is None:
        pytest.skip(MISSING)
    plane = ControlPlane(folder, tmp_path_factory.mktemp("hub"))
    try:
        plane.start()
        plane.start_controllers()
        yield plane
    finally:
        plane.stop()


def run_kubectl(plane, *arguments, manifest=None, kubeconfig=None):
    """Run kubectl, as the administrator unless told otherwise."""
    command = [str(binaries() / "kubectl"), f"--kubeconfig={kubeconfig or plane.admin_kubeconfig}", *arguments]
    return subprocess.run(command, input=manifest, capture_output=True, text=True, timeout=60)


@pytest.fixture
def kubectl(hub):
    """Run kubectl against the hub."""
    return functools.partial(run_kubectl, hub)


@pytest.fixture
def namespace(kubectl):
    """A namespace that nobody else uses; its deletion is begun at the end."""
    name = f"test-{next(_numbers)}"
    assert kubectl("create", "namespace", name).returncode == 0
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
