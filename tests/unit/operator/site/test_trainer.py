"""What a trainer's pod is made of, as the hospital's policy grants it."""

from __future__ import annotations

import base64
import dataclasses
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedward_operator.api.policy import ExportedNumbers, SitePolicySpec
from fedward_operator.api.site_job import SiteJobSpec
from fedward_operator.policy.admission.verdict import Grant
from fedward_operator.site import orders
from fedward_operator.site.settings import SiteSettings
from fedward_operator.site.trainer import network_policy, trainer_job
from fedward_operator.site.views import Mirrored
from fedward_protocol.work_order import verify

SETTINGS = SiteSettings("north", "fed.example.org", "fedward", "example.org/trainer:1", "gateway:8443")
OWNER = Mirrored("brain", "uid-1", 1, "", "uid-2", 1, b"{}", {}, None, False)
POLICY = SitePolicySpec.model_validate(
    {"datasets": [{"name": "brats", "volume": {"persistentVolumeClaim": {"claimName": "scans"}}}]}
)
ASKED = SiteJobSpec.model_validate(
    {
        "job": {"namespace": "research", "name": "brain", "uid": "0123456789"},
        "site": "north",
        "federation": "fed.example.org",
        "attempt": 1,
        "aggregator": {"address": "hub:443", "serverName": "brain.research.fed.example.org"},
        "plan": "{}",
        "planDigest": "0" * 64,
        "dataset": "brats",
    }
)
GRANT = Grant(
    volume=POLICY.datasets[0].volume,
    image="example.org/trainer:1",
    gpus={"nvidia.com/gpu": 1},
    node_selector={"pool": "research"},
    tolerations=(),
    runtime_class_name="nvidia",
    priority_class_name=None,
    cpu="4",
    memory="16Gi",
    closes_s=None,
)


def pod(**granted):
    manifest = trainer_job(OWNER, ASKED, dataclasses.replace(GRANT, **granted), POLICY, "0" * 32, SETTINGS)
    return manifest["spec"]["template"]["spec"]


def shared_memory(**granted):
    (volume,) = (each for each in pod(**granted)["volumes"] if each["name"] == "shared-memory")
    assert volume["emptyDir"]["medium"] == "Memory"
    return volume["emptyDir"]["sizeLimit"]


def test_it_reaches_the_gateway_alone_whose_address_kubernetes_tells_it():
    settings = dataclasses.replace(SETTINGS, gateway="$(FEDWARD_GATEWAY_SERVICE_HOST):8443")
    made = trainer_job(OWNER, ASKED, GRANT, POLICY, "0" * 32, settings)["spec"]["template"]
    (way_out,) = network_policy(settings)["spec"]["egress"]

    assert settings.gateway in made["spec"]["containers"][0]["args"]
    assert made["spec"]["enableServiceLinks"] is True
    assert way_out["to"] == [{"podSelector": {"matchLabels": {"fedward.io/component": "gateway"}}}]
    assert way_out["ports"] == [{"protocol": "TCP", "port": 8443}]


def test_its_image_is_pulled_with_the_secrets_that_the_hospital_named():
    settings = dataclasses.replace(SETTINGS, pull_secrets=("mirror", "spare"))
    job = trainer_job(OWNER, ASKED, GRANT, POLICY, "0" * 32, settings)

    assert job["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "mirror"}, {"name": "spare"}]
    assert "imagePullSecrets" not in pod()


def test_what_was_granted_is_in_the_pod():
    made = pod()
    assert made["containers"][0]["resources"] == {
        "requests": {"cpu": "4", "memory": "16Gi"},
        "limits": {"nvidia.com/gpu": "1", "memory": "16Gi"},
    }
    assert (made["nodeSelector"], made["runtimeClassName"]) == ({"pool": "research"}, "nvidia")


@pytest.mark.parametrize(("memory", "size"), [("16Gi", str(8 * 2**30)), ("1G", str(500 * 10**6)), (None, "2Gi")])
def test_batches_may_take_half_of_the_memory_and_2_gib_where_nothing_bounds_it(memory, size):
    assert shared_memory(memory=memory) == size


def test_a_trainer_without_gpus_sees_none_whatever_its_image_says():
    void = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}
    assert void in environment(gpus={}, runtime_class_name=None)
    assert void not in environment()


@pytest.mark.parametrize(("cpu", "threads"), [("4", "4"), ("500m", "1"), ("2500m", "3"), (None, None)])
def test_it_computes_with_as_many_threads_as_it_was_given_cores(cpu, threads):
    found = {each["name"]: each["value"] for each in environment(cpu=cpu)}
    assert found.get("OMP_NUM_THREADS") == threads


def test_a_trainer_whose_numbers_the_hub_may_see_from_now_on_is_started_anew():
    exporting = SitePolicySpec.model_validate(
        {**POLICY.model_dump(by_alias=True), "export": {"metrics": ["gpuUtilisation"]}}
    )
    assert orders.basis_of(ASKED, exporting, GRANT) != orders.basis_of(ASKED, POLICY, GRANT)


def test_a_work_order_says_what_the_policy_exports():
    key, now = Ed25519PrivateKey.generate(), datetime(2026, 3, 1, tzinfo=UTC)
    exporting = POLICY.model_copy(update={"export": ExportedNumbers(metrics=("casesPerSecond",))})

    def ordered(policy):
        secret = orders.order_secret(OWNER, ASKED, policy, "0" * 32, key, SETTINGS, now)
        envelope = base64.b64decode(secret["data"]["work-order"])
        return verify(envelope, key.public_key(), now, SETTINGS.site).exports

    assert (ordered(POLICY), ordered(exporting)) == ((), ("casesPerSecond",))


def environment(**granted):
    return pod(**granted)["containers"][0]["env"]


@pytest.mark.parametrize(
    "change",
    [
        {"gpus": {"nvidia.com/mig-1g.10gb": 1}},
        {"node_selector": {}},
        {"runtime_class_name": None},
        {"memory": "32Gi"},
        {"cpu": None},
    ],
)
def test_a_trainer_that_would_be_lent_something_else_is_started_anew(change):
    changed = dataclasses.replace(GRANT, **change)
    assert orders.basis_of(ASKED, POLICY, changed) != orders.basis_of(ASKED, POLICY, GRANT)


@pytest.mark.parametrize("change", [{"image": "example.org/trainer:2"}, {"closes_s": 60.0}])
def test_a_trainer_goes_on_while_time_passes_or_the_installed_image_changes(change):
    changed = dataclasses.replace(GRANT, **change)
    assert orders.basis_of(ASKED, POLICY, changed) == orders.basis_of(ASKED, POLICY, GRANT)
