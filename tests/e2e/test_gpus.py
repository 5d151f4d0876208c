"""Accelerators on a real kubelet: lent, counted, exhausted, and one that fails while a job has it."""

from __future__ import annotations

import pytest
from tests.e2e.installation import GPU, RESEARCH, ended, example, pods
from tests.kube.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(1200)]

ASKS = {"gpu": {"count": 1}}
ALONE = {"count": 2, "quorum": 1, "minSites": 1, "deadline": "5m"}


@pytest.fixture
def submit(federation):
    """Apply jobs that are deleted at the end."""
    made = []

    def apply(name, sites, **spec):
        made.append(name)
        federation.apply(name, sites, resources=ASKS, rounds=ALONE, **spec)

    yield apply
    for name in made:
        federation.hub.kubectl("delete", "fjob", name, "-n", RESEARCH, "--timeout=120s", "--ignore-not-found")


def allocatable(federation):
    """Say how many GPUs the hospital's node still offers."""
    (node,) = federation.hospital.plane.request("GET", "/api/v1/nodes")["items"]
    return node["status"]["allocatable"].get(GPU)


def reason(federation, name, site):
    """Say why a site's part in a job does not go on."""
    return {each["name"]: each.get("reason") for each in federation.status(name).get("sites", ())}.get(site)


def test_a_trainer_has_one_gpu_to_itself_and_memory_to_share_with_its_loaders(federation, submit):
    before = len(federation.gpus.allocations)
    submit("with-gpu", ["north"])
    (pod,) = wait_until("a trainer", lambda: pods(federation.hospital, "north", "trainer"), 120)
    assert pod["spec"]["containers"][0]["resources"]["limits"][GPU] == "1"
    assert any(each.get("emptyDir", {}).get("medium") == "Memory" for each in pod["spec"]["volumes"])
    assert ended(federation.wait_for_end("with-gpu")) == "Completed"
    assert len(federation.gpus.allocations) == before + 1


def test_where_none_is_lent_a_job_trains_on_cpus_or_is_refused_as_the_hospital_says(federation, submit):
    submit("on-cpu", ["south"])
    submit("refused", ["west"])
    seen = wait_until("west says no", lambda: reason(federation, "refused", "west"), 60)
    assert seen == "GpuNotOffered"
    assert ended(federation.wait_for_end("on-cpu")) == "Completed"


def test_a_gpu_that_fails_is_lent_to_nobody_else_and_who_waits_is_told_why(federation, submit):
    wait_until("both are there", lambda: allocatable(federation), 60, lambda it: it == "2")
    before = len(federation.gpus.allocations)
    submit("first", ["north"], training=example()["spec"]["training"] | {"localEpochs": 12})
    (taken,) = wait_until("the first has its GPU", lambda: federation.gpus.allocations[before:], 120)
    try:
        for device in taken:
            federation.gpus.set_health(device, False)
        wait_until("one is left", lambda: allocatable(federation), 60, lambda it: it == "1")
        submit("second", ["north"])
        submit("third", ["north"])
        seen = wait_until(
            "somebody waits, and is told for what",
            lambda: {name: reason(federation, name, "north") for name in ("first", "second", "third")},
            120,
            lambda it: {"GpuUnschedulable", "WaitingForTurn"} & set(it.values()),
        )
        assert seen["first"] not in ("GpuUnschedulable", "WaitingForTurn"), "what runs goes on"
    finally:
        for device in taken:
            federation.gpus.set_health(device, True)
    for name in ("first", "second", "third"):
        assert ended(federation.wait_for_end(name)) == "Completed"
