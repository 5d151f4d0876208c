"""A control plane for the cluster tests, and a namespace of its own for each."""

from __future__ import annotations

import contextlib
import functools
import itertools
import subprocess
import sys

import pytest
from tests.cluster.operators import POLICY, ROOT, Federation, jobs
from tests.kube.binaries import MISSING, binaries
from tests.kube.control_plane import ControlPlane
from tests.kube.waiting import wait_until

_numbers = itertools.count()


@contextlib.contextmanager
def control_plane(folder, name):
    """An API server with its controllers, scheduler and two nodes with GPUs."""
    found = binaries()
    if found is None:
        pytest.skip(MISSING)
    plane = ControlPlane(found, folder)
    try:
        plane.start()
        plane.start_controllers()
        plane.start_scheduler()
        plane.start_nodes(f"{name}-1", f"{name}-2")
        yield plane
    finally:
        plane.stop()


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """The hub's cluster; it outlives the tests of one run."""
    with control_plane(tmp_path_factory.mktemp("hub"), "hub") as plane:
        yield plane


@pytest.fixture(scope="session")
def hospital(tmp_path_factory):
    """A hospital's cluster: another API server, which knows nothing of the hub's."""
    with control_plane(tmp_path_factory.mktemp("hospital"), "hospital") as plane:
        yield plane


def run_kubectl(plane, *arguments, manifest=None, kubeconfig=None):
    """Run kubectl, as the administrator unless told otherwise."""
    command = [str(binaries() / "kubectl"), f"--kubeconfig={kubeconfig or plane.admin_kubeconfig}", *arguments]
    return subprocess.run(command, input=manifest, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="session")
def with_kinds(hub, hospital):
    """Both clusters, knowing our kinds."""
    for plane in (hub, hospital):
        run_kubectl(plane, "apply", "-f", str(ROOT / "operator/crds"))
        done = run_kubectl(plane, "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        assert done.returncode == 0, done.stderr
    return hub, hospital


@pytest.fixture
def federation(with_kinds, tmp_path):
    """A hub and room for hospitals, with nobody running yet; operators that a test starts end with it."""
    made = Federation(*with_kinds, tmp_path, next(_numbers))
    try:
        yield made
    finally:
        made.stop()
        sys.stderr.write(made.logs())  # pytest shows it where a test failed


@pytest.fixture
def running(federation):
    """A job "brain" that runs at the hub and at one hospital: federation, site, the two operators."""
    north = federation.invite("north", POLICY)
    hub, site = federation.start_hub(), federation.start_site(north)
    federation.submit("brain", [north])
    federation.wait_for("brain", "Running", "True")
    wait_until("a trainer", lambda: jobs(federation.hospital, north))
    return federation, north, hub, site


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
