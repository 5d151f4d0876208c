"""What a researcher's code gains from inside a trainer's pod: nothing; and what its hospital sees of the attempt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.e2e.installation import DOOR_PORT, RESEARCH, example, pods
from tests.e2e.metrics import scrape
from tests.kube.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

JOB = "curious"
REFUSED = {"TimeoutError", "gaierror"}
"""What comes of reaching for an address, and of asking for a name."""


@pytest.fixture(scope="module")
def attempted(federation):
    """Run the attempts in a trainer that works for a job, and give what came of each."""
    # One round that is long enough for all of it.
    training = example()["spec"]["training"] | {"localEpochs": 100}
    federation.apply(JOB, ["north"], rounds={"count": 1, "quorum": 1, "minSites": 1}, training=training)
    federation.wait_for_round(JOB, 1)
    hospital = federation.hospital
    (trainer,) = pods(hospital, "north", "trainer")
    (operator,) = pods(hospital, "north", "site-operator")
    places = {
        "the hub's door": f"{federation.hub.network.address}:{DOOR_PORT}",
        "Kubernetes": f"{service_address(hospital, 'default', 'kubernetes')}:443",
        "the node's kubelet": f"{hospital.network.address}:10250",
        "the operator": f"{operator['status']['podIP']}:9090",
        "the gateway's metrics": f"{service_address(hospital, 'north', 'fedward-gateway')}:9090",
        "another hospital's gateway": f"{service_address(hospital, 'south', 'fedward-gateway')}:8443",
        "names": "fedward-gateway.north.svc:8443",
    }
    command = ["exec", "-i", "-n", "north", trainer["metadata"]["name"], "--", "python3.11", "-"]
    script = (Path(__file__).parent / "malicious_trainer.py").read_text()
    found = json.loads(hospital.command("kubectl", *command, "north", *places.values(), given=script))
    yield federation, trainer, {place: found["reaches"][address] for place, address in places.items()}, found
    federation.hub.kubectl("delete", "fjob", JOB, "-n", RESEARCH, "--timeout=120s")


def test_it_reaches_its_gateway_and_nothing_else(attempted):
    _, _, reached, found = attempted
    assert found["gateway"] == "connected"
    assert set(reached.values()) <= REFUSED, reached


def test_it_finds_no_key_and_no_token_and_changes_nothing(attempted):
    _, trainer, _, found = attempted
    assert found["keys"] == []
    assert "written" not in found["writes"].values()
    assert trainer["spec"]["automountServiceAccountToken"] is False
    assert not any("serviceAccountToken" in json.dumps(each) for each in trainer["spec"]["volumes"])


def test_it_speaks_for_nobody_else_and_shows_no_order_that_was_not_signed(attempted):
    _, _, _, found = attempted
    assert found["speaks"] == {
        "for another hospital": "WorkOrderMismatch",
        "for another job": "WorkOrderMismatch",
        "for another attempt": "WorkOrderMismatch",
        "by another plan": "PlanMismatch",
        "with a forged order": "WorkOrderForged",
        "without an order": "WorkOrderMissing",
    }


def test_the_hospital_sees_each_attempt_in_its_gateways_log_and_metrics(attempted):
    federation, _, _, found = attempted
    hospital = federation.hospital
    log = hospital.kubectl("logs", "-n", "north", "deployment/fedward-gateway")
    (gateway,) = pods(hospital, "north", "gateway")
    metrics = scrape(hospital, gateway)
    for reason in set(found["speaks"].values()):
        assert reason in log
        assert f'reason="{reason}"' in metrics


def test_the_job_goes_on_all_the_same(attempted):
    federation = attempted[0]
    status = wait_until(
        "the job completes",
        lambda: federation.status(JOB),
        600,
        lambda seen: any(
            each["type"] == "Completed" and each["status"] == "True" for each in seen.get("conditions", ())
        ),
    )
    assert status["round"] == 1


def service_address(cluster, namespace, name):
    """Say at which address a Service is."""
    return cluster.kubectl("get", "service", name, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}")
