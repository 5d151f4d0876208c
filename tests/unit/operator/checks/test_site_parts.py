"""What is made of a hospital's policy, GPUs and volumes."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest
from tests.unit.operator.checks.shown import condition

from fedward_node.gateway.metrics import Metrics
from fedward_operator.checks import gpus, policy, room
from fedward_operator.checks.connection import Server
from fedward_operator.checks.finding import Level

GIB = 2**30


def site_policy(*conditions, name="north", **more):
    document = {"metadata": {"name": name, "generation": 2}, "spec": {"datasets": []}}
    return document | {"status": {"observedGeneration": 2, "conditions": list(conditions), **more}}


READY, DATA = condition("Ready", "True"), condition("DataSound", "True")


@pytest.mark.parametrize(
    ("policies", "ready", "data"),
    [
        ([], (Level.WRONG, "NoSitePolicy"), (Level.SKIPPED, "")),
        ([site_policy(name="a"), site_policy(name="b")], (Level.WRONG, "SeveralSitePolicies"), (Level.SKIPPED, "")),
        ([site_policy(READY, DATA)], (Level.OK, ""), (Level.OK, "")),
        ([site_policy()], (Level.WARNING, "Waiting"), (Level.SKIPPED, "")),
        ([site_policy(READY, DATA, observedGeneration=1)], (Level.WARNING, "Waiting"), (Level.OK, "")),
        ([site_policy(condition("Ready", "False", "SpecInvalid"))], (Level.WRONG, "SpecInvalid"), (Level.SKIPPED, "")),
        (
            [site_policy(READY, condition("DataSound", "False", "DatasetEmpty"))],
            (Level.OK, ""),
            (Level.WRONG, "DatasetEmpty"),
        ),
        (
            [site_policy(READY, condition("DataSound", "False", "ProblemsFound"))],
            (Level.OK, ""),
            (Level.WARNING, "ProblemsFound"),
        ),
        ([site_policy(READY, condition("DataSound", "Unknown", "Inspecting"))], (Level.OK, ""), (Level.SKIPPED, "")),
    ],
)
def test_one_policy_that_holds_and_sound_data_are_what_a_site_needs(policies, ready, data):
    assert [(each.level, each.reason) for each in policy.sound(policies, "fedward")] == [ready, data]


def test_sound_data_are_said_in_counts():
    datasets = [{"name": "brats", "cases": 120, "complete": 118}]
    *_, found = policy.sound([site_policy(READY, DATA, datasets=datasets)], "fedward")

    assert found.said == "brats: 120 cases, 118 with nothing wrong"


def node(name, gpus=None, **labels):
    return {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": {"cpu": "8", **(gpus or {})}}}


NVIDIA = {"nvidia.com/gpu": "2"}


@pytest.mark.parametrize(
    ("offer", "nodes", "level"),
    [
        ({"count": 1}, [node("a"), node("b", NVIDIA)], Level.OK),
        ({"count": 4}, [node("b", NVIDIA)], Level.WRONG),
        ({}, [node("a")], Level.WRONG),
        ({}, [], Level.WRONG),
        ({"nodeSelector": {"pool": "research"}}, [node("b", NVIDIA)], Level.WRONG),
        ({"nodeSelector": {"pool": "research"}}, [node("b", NVIDIA, pool="research")], Level.OK),
        ({"migProfile": "1g.10gb"}, [node("b", {"nvidia.com/mig-1g.10gb": "7"})], Level.OK),
        ({"resource": "amd.com/gpu"}, [node("b", NVIDIA)], Level.WRONG),
        (None, [], Level.SKIPPED),
        ({}, None, Level.SKIPPED),
    ],
)
def test_gpus_that_are_lent_are_there(offer, nodes, level):
    policies = [{"metadata": {"name": "north"}, "spec": {"gpus": offer} if offer is not None else {}}]
    found = gpus.visible(policies, nodes, "fedward doctor")

    assert found.level is level
    assert (found.reason == "GpuMissing") == (level is Level.WRONG)


def test_gpus_without_the_one_policy_are_not_looked_for():
    assert gpus.visible([], [], "").level is Level.SKIPPED


def volumes(**free):
    lines = [
        f'{room.FREE}{{volume="{name}"}} {left}\n{room.SIZE}{{volume="{name}"}} {100 * GIB}'
        for name, left in free.items()
    ]
    return "\n".join(lines) + "\n"


def test_a_volume_that_fills_up_is_noticed():
    found = room.judge(volumes(audit=50 * GIB, full=0.5 * GIB, state=5 * GIB), "kubectl get pvc")

    assert [(each.about.rpartition(" ")[2], each.level, each.reason) for each in found] == [
        ("audit", Level.OK, ""),
        ("full", Level.WRONG, "StorageLow"),
        ("state", Level.WARNING, "StorageLow"),
    ]


def test_the_gateway_says_how_full_its_volumes_are(web, tmp_path):
    metrics = Metrics("north")
    metrics.watch_volumes({"state": tmp_path, "audit log": tmp_path / "not there"})
    exposed = generate_latest(metrics.registry).decode()
    (found,) = room.left(web({"/metrics": (200, exposed)}).there, "")

    assert found.about == "room of the gateway: state"
    assert "GiB are free" in found.said


@pytest.mark.parametrize("text", ["", "fedward_gateway_attending 0\n", "<html>"])
def test_a_gateway_that_does_not_say_how_full_it_is_is_not_blamed(text):
    assert [each.level for each in room.judge(text, "")] == [Level.SKIPPED]


def test_a_gateway_whose_metrics_take_a_certificate_has_its_room_unseen_and_says_why(web):
    (found,) = room.left(web({"/metrics": (403, "elsewhere")}).there, "")
    assert (found.level, "certificate" in found.said) == (Level.SKIPPED, True)


def test_a_gateway_that_does_not_answer_has_its_room_unseen():
    assert [each.level for each in room.left(Server("127.0.0.1", 1), "")] == [Level.SKIPPED]
