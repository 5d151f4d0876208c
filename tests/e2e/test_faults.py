"""What goes wrong in the middle of a round, on real clusters: the job ends well by itself each time."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import signal
import time
from datetime import UTC, datetime

import pytest
from cryptography import x509
from tests.e2e.installation import RESEARCH, ended, has_successor, pods, volume
from tests.kube.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(1800)]

_numbers = itertools.count(1)
ROUNDS = {"count": 3, "quorum": "66%", "minSites": 2, "deadline": "3m", "grace": "10s"}
"""Two of three close a round, so that one hospital may be away."""


@pytest.fixture
def running(federation, request):
    """A job in the middle of its second round; `request.param` is what its spec says otherwise."""
    name = f"fault-{next(_numbers)}"
    federation.apply(name, **{"rounds": ROUNDS, "training": TRAINING} | getattr(request, "param", {}))
    federation.wait_for_round(name, 2)
    yield federation, name
    federation.hub.kubectl("delete", "fjob", name, "-n", RESEARCH, "--timeout=120s")


TRAINING = {
    "localEpochs": 4,
    "batchSize": 1,
    "optimizer": {"name": "Adam", "lr": 2e-3},
    "loss": "DiceCE",
    "patch": [32, 32, 32],
}


def completes(federation, name, seconds=900):
    """Wait for the job's end, which is to be a good one, and return its status."""
    status = federation.wait_for_end(name, seconds)
    shown = federation.hub.kubectl("get", "fjob,sjob,pods", "-A", "-o", "wide")
    assert ended(status) == "Completed", f"{status}\n{shown}"
    assert status["round"] == status["rounds"] == ROUNDS["count"]
    for site in federation.sites.values():
        folder = volume(site.cluster, site.namespace, "fedward-gateway-audit")
        assert ": whole, " in federation.fedward(site.cluster, "audit", "verify", str(folder))
    return status


def kill(cluster, namespace, component):
    """End the process of a part as the kernel does."""
    (pod,) = pods(cluster, namespace, component)
    os.kill(cluster.machine.runtime.pid_of(pod), signal.SIGKILL)


def delete(cluster, namespace, component):
    """Delete the pods of a part at once."""
    selector = f"fedward.io/component={component}"
    cluster.kubectl("delete", "pods", "-n", namespace, "-l", selector, "--grace-period=0", "--force")


def parts(federation):
    """Say where each part runs."""
    hub, hospital = federation.hub, federation.hospital
    return {
        "aggregator": (hub, RESEARCH, "aggregator"),
        "gateway": (hospital, "north", "gateway"),
        "trainer": (hospital, "north", "trainer"),
        "hub's operator": (hub, "fedward", "hub-operator"),
        "site's operator": (hospital, "north", "site-operator"),
        "door": (hub, "fedward", "door"),
    }


PARTS = ("aggregator", "gateway", "trainer", "hub's operator", "site's operator", "door")


@pytest.mark.parametrize("how", [kill, delete])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_lost_in_the_middle_of_a_round_costs_no_round(running, part, how):
    federation, name = running
    cluster, namespace, component = parts(federation)[part]
    (lost,) = pods(cluster, namespace, component)
    how(cluster, namespace, component)
    started = time.monotonic()
    wait_until("another takes its place", lambda: has_successor(cluster, lost), 120)
    federation.seconds[f"{part} back after {how.__name__}"] = time.monotonic() - started
    assert federation.status(name)["attempt"] == 1
    completes(federation, name)


@pytest.mark.parametrize("seconds", [60, pytest.param(600, marks=pytest.mark.slow)])
def test_a_hospital_whose_network_is_cut_comes_back(running, seconds):
    federation, name = running
    network = federation.hospital.network
    network.cut()
    try:
        ends_at = time.monotonic() + seconds
        # Two of the three hospitals are cut off: no round can close by quorum, and the job has to wait for them.
        wait_until("the hub notices", lambda: federation.connected()["north"][0], 90, lambda it: it == "False")
        wait_until("the cut is over", lambda: time.monotonic() > ends_at, seconds + 10)
    finally:
        network.mend()
    completes(federation, name)


WIDE = {"network": {"name": "UNet", "args": {"channels": [32, 64, 128], "strides": [2, 2], "num_res_units": 1}}}
"""A network whose updates take three chunks, so that one can be half way."""


@pytest.mark.parametrize("running", [{"model": WIDE}], indirect=True)
def test_a_line_that_breaks_in_the_middle_of_an_upload_costs_no_round(running):
    federation, name = running
    network, spool = federation.hospital.network, volume(federation.hub, RESEARCH, f"{name}-aggregator") / "spool"
    network.slow_down(400)  # kbit a second: the hospital's two updates take a minute and a half
    try:
        wait_until("an update is half way", lambda: half_way(spool), 180)
        network.cut()
        try:
            wait_until("the hub notices", lambda: federation.connected()["north"][0], 90, lambda it: it == "False")
            assert half_way(spool)
        finally:
            network.mend()
    finally:
        network.speed_up()
    completes(federation, name)


def half_way(spool):
    """Name the updates of the hospital behind the slow line of which a part has arrived."""
    return [file.name for file in spool.glob("*/[ns]o*.*") if 0 < file.stat().st_size < WHOLE]


WHOLE = 2_000_000
"""An update of the wide network has some 2,200,000 bytes."""


def test_a_node_whose_kubelet_is_gone_for_a_minute_and_a_half(running):
    federation, name = running
    machine = federation.hospital.machine
    machine.kill_kubelet()
    wait_until("the cluster notices", lambda: not machine.is_ready(), 120)
    machine.start_kubelet()
    wait_until("it is back", machine.is_ready, 60)
    completes(federation, name)


def test_a_node_that_is_drained_gives_its_pods_back_later(running):
    federation, name = running
    hospital = federation.hospital
    node = hospital.machine.name
    hospital.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=180s")
    hospital.kubectl("uncordon", node)
    completes(federation, name)


def test_a_volume_that_is_full_holds_up_and_loses_nothing(running):
    federation, name = running
    ballast = volume(federation.hub, RESEARCH, f"{name}-aggregator") / "ballast"
    fill(ballast)
    try:
        wait_until(
            "an update is refused for want of room",
            lambda: "StorageFull" in federation.hub.kubectl("logs", "-n", RESEARCH, f"job/{name}-aggregator-1"),
            180,
        )
    finally:
        ballast.unlink()
    completes(federation, name)


def fill(ballast):
    """Write a file until there is no room left beside it."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))


def test_an_upgrade_of_everything_in_the_middle_of_a_round(running):
    federation, name = running
    federation.upgrade_hub("--set", "operator.podAnnotations.turn=two", "--set", "door.podAnnotations.turn=two")
    for site in federation.sites:
        federation.upgrade_site(
            site, "--set", "operator.podAnnotations.turn=two", "--set", "gateway.podAnnotations.turn=two"
        )
    completes(federation, name)


@pytest.mark.parametrize("running", [{"training": TRAINING | {"localEpochs": 100}}], indirect=True)
def test_a_certificate_that_has_expired_is_replaced_and_its_hospital_comes_back(running):
    federation, name = running
    hospital = federation.hospital
    scale = ("scale", "-n", "north", "deployment/fedward-site-operator")
    federation.upgrade_hub("--set", "sites.certificateLife=45s")
    hospital.kubectl("delete", "secret", "fedward-gateway-tls", "-n", "north")
    delete(hospital, "north", "site-operator")
    try:
        wait_until("a certificate of a short life", lambda: expires_in(hospital), 120, lambda left: 0 < left < 60)
        hospital.kubectl(*scale, "--replicas=0")
        wait_until("it has expired", lambda: expires_in(hospital), 120, lambda left: left < 0)
        delete(hospital, "north", "gateway")
        wait_until("its hospital is missed", lambda: state_of(federation, name, "north"), 180, lambda it: it in AWAY)
    finally:
        federation.upgrade_hub("--set", "sites.certificateLife=720h")
        hospital.kubectl(*scale, "--replicas=1")
    completes(federation, name)


AWAY = ("Lost", "Offline", "Absent")


def expires_in(hospital):
    """Say for how many seconds the gateway's certificate is still good."""
    data = hospital.kubectl(
        *("get", "secret", "fedward-gateway-tls", "-n", "north", "--ignore-not-found"),
        *("-o", "jsonpath={.data.tls\\.crt}"),
    )
    if not data:
        return 0.0
    certificate = x509.load_pem_x509_certificate(base64.b64decode(data))
    return (certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds()


def state_of(federation, name, site):
    """Say how a site's part in a job goes, in one word."""
    return {each["name"]: each["state"] for each in federation.status(name).get("sites", ())}.get(site)
