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


def rights(federation, role):
    """Return the rules of a role, and what changes them."""
    path = f"{RBAC}/{role}"

    def allow(rules):
        federation.hub.request("PATCH", path, {"rules": rules}, "application/merge-patch+json")

    return federation.hub.request("GET", path)["rules"], allow


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


def test_a_hub_that_may_not_read_its_authority_shows_it_until_it_may_and_one_that_stands_by_does_not(federation):
    rules, allow = rights(federation, f"namespaces/{federation.system}/roles/fedward-hub")
    allow([rule for rule in rules if rule["resources"] != ["secrets"]])
    in_the_secret = ["--authority-secret=fedward-authority", "--make-authority"]
    leader = federation.start_hub(authority=in_the_secret)
    wait_until("one leads", lambda: leader.metric("fedward_operator_leading"))
    standby = federation.start_hub(authority=in_the_secret)
    wait_until("the other stands by", lambda: standby.get("/readyz") == "ready\n")
    wait_until("its age", lambda: age(leader, "Authority"), is_it=lambda seconds: seconds > 6)
    page = standby.get("/metrics")
    assert 'fedward_operator_queue_age_seconds{kind="Authority"} 0.0' in page
    assert "fedward_operator_leading 0.0" in page

    allow(rules)
    wait_until("it has one", lambda: leader.metric("fedward_operator_authority_not_after_timestamp_seconds"))
    wait_until("nothing is left undone", lambda: age(leader, "Authority"), is_it=lambda seconds: seconds == 0)


def test_a_hub_that_may_make_no_jobs_any_more_shows_it_until_it_may_again(federation):
    north, hub = at_work(federation)
    rules, allow = rights(federation, f"clusterroles/fedward-hub-{federation.number}")

    allow([rule for rule in rules if rule["resources"] != ["jobs"]])
    wait_until("it may no more", lambda: may(federation, "patch", "jobs.batch"), is_it="no".__eq__)
    federation.submit("brain", [north])
    wait_until("it says so", lambda: forbidden(hub))
    federation.wait_for("brain", "Running", "False", "OperatorForbidden")

    allow(rules)
    federation.wait_for("brain", "Running", "True", seconds=60)
    assert forbidden(hub) == 0
