"""An operator whose rights are taken away: its metrics say that it does not get on, until it has them again."""

from __future__ import annotations

import pytest
from tests.cluster.conftest import run_kubectl
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster

RBAC = "/apis/rbac.authorization.k8s.io/v1"


def at_work(federation):
    """Start a hub and let a hospital be heard; return the hospital's name and the operator."""
    north = federation.invite("north")
    hub = federation.start_hub()
    federation.heartbeat(north)
    wait_until("it sees all", lambda: hub.metric("fedward_operator_synced"))
    return north, hub


def may(federation, verb, resource):
    user = f"--as={federation.hub_user}"
    return run_kubectl(federation.hub, "auth", "can-i", verb, resource, "-A", user).stdout.strip()


def age(operator, kind):
    return operator.metric("fedward_operator_queue_age_seconds", kind=kind)


def forbidden(operator):
    return operator.metric("fedward_operator_job_condition", reason="OperatorForbidden")


def test_a_hub_that_may_nothing_any_more_shows_how_long_it_has_failed_until_it_may_again(federation):
    north, hub = at_work(federation)
    path = f"{RBAC}/clusterrolebindings/fedward-hub-{federation.number}"
    binding = federation.hub.request("GET", path)

    federation.hub.request("DELETE", path)
    wait_until("it may no more", lambda: may(federation, "patch", "federatedjobs/status"), is_it="no".__eq__)
    federation.submit("brain", [north])
    wait_until("its age", lambda: age(hub, "FederatedJob"), is_it=lambda seconds: seconds > 6)
    assert hub.metric("fedward_operator_queue_depth", kind="FederatedJob") == 0, "it is not in line that it waits"
    assert hub.metric("fedward_operator_reconciles_total", kind="FederatedJob", result="refused") > 1

    del binding["metadata"]["resourceVersion"], binding["metadata"]["uid"]
    federation.hub.request("POST", f"{RBAC}/clusterrolebindings", binding)
    federation.wait_for("brain", "Running", "True")
    wait_until("nothing is left undone", lambda: age(hub, "FederatedJob"), is_it=lambda seconds: seconds == 0)


def test_a_hub_that_may_make_no_jobs_any_more_shows_it_until_it_may_again(federation):
    north, hub = at_work(federation)
    path = f"{RBAC}/clusterroles/fedward-hub-{federation.number}"
    rules = federation.hub.request("GET", path)["rules"]

    def allow(what):
        federation.hub.request("PATCH", path, {"rules": what}, "application/merge-patch+json")

    allow([rule for rule in rules if rule["resources"] != ["jobs"]])
    wait_until("it may no more", lambda: may(federation, "patch", "jobs.batch"), is_it="no".__eq__)
    federation.submit("brain", [north])
    wait_until("it says so", lambda: forbidden(hub))
    federation.wait_for("brain", "Running", "False", "OperatorForbidden")

    allow(rules)
    federation.wait_for("brain", "Running", "True", seconds=60)
    assert forbidden(hub) == 0
