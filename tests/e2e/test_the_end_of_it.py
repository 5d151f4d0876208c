"""How a hospital leaves, and what is left of a hub and of a hospital that were uninstalled."""

from __future__ import annotations

import time

import pytest
from tests.e2e.installation import RESEARCH, ended
from tests.kube.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

KINDS = "all,secrets,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,pvc,sitepolicies,leases"
CHECKS = {"pod/fedward-hub-check", "pod/fedward-site-check"}
"""What `helm test` has left, whose log people may still want to read."""

KUBERNETES_OWN = {"configmap/kube-root-ca.crt", "serviceaccount/default"}


def test_a_revoked_hospital_is_out_of_a_running_job_within_seconds(federation):
    federation.apply("leaving", rounds={"count": 2, "quorum": 2, "minSites": 2, "deadline": "10m", "grace": "5s"})
    federation.wait_for_round("leaving", 1)
    wait_until("west works", lambda: state(federation, "west"), 120, lambda it: it[0] in ("Training", "Submitted"))
    began = time.monotonic()
    federation.fedward(federation.hub, "revoke", "site", "west", "--yes")
    wait_until("west is out", lambda: state(federation, "west"), 30, lambda it: it[1] == "SiteRevoked")
    federation.seconds["revoked until it is out of a running job"] = time.monotonic() - began
    assert federation.connected()["west"] == ("False", "Revoked")
    assert ended(federation.wait_for_end("leaving")) == "Completed"
    assert {site["name"]: site["state"] for site in federation.status("leaving")["sites"]}["west"] == "Failed"
    federation.hub.kubectl("delete", "fjob", "leaving", "-n", RESEARCH, "--timeout=60s")


def state(federation, site):
    """Say how a site's part in the job goes, and why."""
    sites = {each["name"]: each for each in federation.status("leaving").get("sites", ())}
    return sites.get(site, {}).get("state"), sites.get(site, {}).get("reason")


def test_uninstalled_a_hospital_keeps_its_records_its_policy_and_what_it_lent(federation):
    hospital = federation.hospital
    hospital.command("helm", "uninstall", "fedward-site", "-n", "south", "--wait", "--timeout", "90s")
    kept = wait_until(
        "nothing runs",
        lambda: left(hospital, "south"),
        60,
        lambda seen: not [each for each in seen if each.startswith(("pod/", "job.batch/")) and each not in CHECKS],
    )
    claims = {each for each in kept if each.startswith("persistentvolumeclaim/")}
    names = {"fedward-gateway-audit", "fedward-gateway-state", "brats-scans"}
    assert claims == {f"persistentvolumeclaim/{name}" for name in names}
    assert "sitepolicy.fedward.io/south" in kept
    secrets = {each for each in kept if each.startswith("secret/")}
    # The site's own, so that it is the same one where it is installed again.
    assert secrets == {
        f"secret/{name}"
        for name in ("fedward-gateway-tls", "fedward-hub-access", "fedward-site-request", "fedward-site-signing")
    }
    assert not [each for each in kept if each.split("/")[0].startswith(("role", "deployment", "service."))]


def test_uninstalled_a_hub_keeps_its_authority_and_the_kinds(federation):
    hub = federation.hub
    hub.command("helm", "uninstall", "fedward", "-n", "fedward", "--wait", "--timeout", "90s")
    kept = wait_until(
        "nothing runs",
        lambda: left(hub, "fedward"),
        60,
        lambda seen: not [each for each in seen if each.startswith("pod/") and each not in CHECKS],
    )
    assert "secret/fedward-authority" in kept
    assert not [each for each in kept if each.startswith(("deployment", "service/", "role"))]
    assert "federatedjobs.fedward.io" in hub.kubectl("get", "crd", "-o", "name")
    assert "north" in hub.kubectl("get", "fsite", "-o", "name")


def left(cluster, namespace):
    """Name what is in a namespace, but for what Kubernetes itself puts there."""
    found = cluster.kubectl("get", KINDS, "-n", namespace, "-o", "name").split()
    return [each for each in found if each not in KUBERNETES_OWN]
