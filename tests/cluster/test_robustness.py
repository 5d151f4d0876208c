"""The operator is killed, API servers go away, two operators run: the end is the same, nothing is written in vain."""

from __future__ import annotations

import copy
import json
import time
import urllib.error

import pytest
from tests.cluster.conftest import run_kubectl
from tests.cluster.crashing import CRASHED
from tests.cluster.operators import GROUP, POLICY, end_pod, jobs, names, site_jobs, the_pod
from tests.kube.waiting import wait_until

from fedward_operator.main import LOST

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

OURS = ("configmaps", "secrets", "services", "persistentvolumeclaims")


def writes(operator):
    return sum(operator.metric("fedward_operator_api_calls_total", verb=verb) for verb in ("apply", "patch", "delete"))


def objects(federation, north):
    """Everything that both operators made, without what differs by chance or time."""
    found = {}
    for plane, namespace in (
        (federation.hub, federation.namespace),
        (federation.hub, f"fedward-site-{north}"),
        (federation.hospital, north),
    ):
        for kind in (*OURS, "jobs.batch", "sitejobs.fedward.io"):
            listed = run_kubectl(plane, "get", kind, "-n", namespace, "-o", "json")
            for item in json.loads(listed.stdout)["items"]:
                name = item["metadata"]["name"].replace(north, "north")
                labels = sorted(item["metadata"].get("labels", {}))
                found[plane is federation.hub, kind, name] = labels
    return found


def lifecycle(federation, north, start_hub, start_site):
    """Run a job from apply to its end, with operators that may die; `start_*` start them again."""
    start_hub()
    start_site()
    federation.submit("brain", [north])

    def look(reach):
        start_hub()
        start_site()
        return reach()

    def trainer_and_aggregator():
        return jobs(federation.hub, federation.namespace) and jobs(federation.hospital, north)

    wait_until("both run", lambda: look(trainer_and_aggregator), 60)
    wait_until(
        "running",
        lambda: look(lambda: federation.condition("brain", "Running")),
        60,
        lambda c: c.get("status") == "True",
    )
    made = objects(federation, north)
    end_pod(federation.hospital, the_pod(federation.hospital, north, "trainer"), 0)
    end_pod(federation.hub, the_pod(federation.hub, federation.namespace, "aggregator"), 0)
    wait_until(
        "completed",
        lambda: look(lambda: federation.condition("brain", "Completed")),
        60,
        lambda c: c.get("status") == "True",
    )
    federation.hub.request("DELETE", f"{GROUP}/namespaces/{federation.namespace}/federatedjobs/brain")
    path = f"{GROUP}/namespaces/{federation.namespace}/federatedjobs"
    wait_until("gone", lambda: look(lambda: names(federation.hub, path)), 60, lambda left: not left)
    wait_until(
        "nothing is left", lambda: look(lambda: site_jobs(federation.hospital, north)), 60, lambda left: not left
    )
    return {key: labels for key, labels in made.items() if "brain" in key[2]}


@pytest.mark.parametrize("role", ["hub", "site"])
def test_an_operator_killed_at_any_write_comes_to_the_same_end(federation, role):
    """One operator dies at its first write, the next at its second, and so on, through a whole job's life."""
    north = federation.invite("north", POLICY)
    crashes = {"count": 0}
    current = {}

    def keep(name, start):
        operator = current.get(name)
        if operator is not None and operator.process.poll() is None:
            return
        # Each successor gets one write further than it had to: all moments are met, and there is an end.
        crash = ("after" if crashes["count"] % 2 else "before", 1 + crashes["count"] // 6) if name == role else None
        if operator is None:
            current[name] = start(crash)
            return
        assert operator.process.returncode == CRASHED, operator.log.read_text()
        crashes["count"] += 1
        current[name] = federation.restart(operator, crash)

    made = lifecycle(
        federation,
        north,
        lambda: keep("hub", lambda crash: federation.start_hub(crash=crash)),
        lambda: keep("site", lambda crash: federation.start_site(north, crash=crash)),
    )
    assert crashes["count"] >= 4
    at_the_hub = ["configmaps", "secrets", "services", "persistentvolumeclaims", "jobs.batch", "sitejobs.fedward.io"]
    at_the_hospital = ["sitejobs.fedward.io", "secrets", "jobs.batch"]
    assert sorted(key[1] for key in made) == sorted([*at_the_hub, *at_the_hospital])


def test_nothing_is_written_again_by_an_operator_that_starts_anew(running):
    federation, _, hub, site = running
    wait_until("told", lambda: federation.found("brain")["status"]["participation"], is_it=lambda said: said == "1/1")
    hub.kill()
    site.kill()
    hub, site = federation.restart(hub), federation.restart(site)
    for operator in (hub, site):
        wait_until(
            "caught up", lambda o=operator: o.metric("fedward_operator_reconciles_total", result="done") >= 1, 40
        )
    # A change that both have to answer: by then they have looked at everything.
    federation.patch("brain", {"ttlSecondsAfterFinished": 1000})
    generation = federation.found("brain")["metadata"]["generation"]
    wait_until(
        "seen", lambda: federation.found("brain")["status"]["observedGeneration"], is_it=lambda seen: seen == generation
    )
    assert hub.metric("fedward_operator_api_calls_total", verb="apply") == 1  # the generation that was observed
    assert hub.metric("fedward_operator_api_calls_total", verb="delete") == 0


def test_an_api_server_that_was_away_is_caught_up_with(running):
    federation, north, hub, site = running
    federation.hub.stop_api_server()
    # Meanwhile the hospital goes on by itself.
    pod = the_pod(federation.hospital, north, "trainer")
    end_pod(federation.hospital, pod, 1)
    wait_until(
        "another trainer",
        lambda: the_pod(federation.hospital, north, "trainer"),
        60,
        lambda now: now["metadata"]["uid"] != pod["metadata"]["uid"],
    )
    federation.hub.start_api_server()
    if hub.process.poll() is not None:  # it could not renew its Lease, and was started again since
        assert hub.process.returncode == LOST
        federation.restart(hub)
    federation.patch("brain", {"suspend": True})
    federation.wait_for("brain", "Suspended", "True", seconds=60)
    wait_until("no trainer", lambda: jobs(federation.hospital, north), 60, lambda left: not left)
    assert site.process.poll() is None


def test_a_hospitals_api_server_that_was_away_is_caught_up_with(running):
    federation, north, _, site = running
    federation.hospital.stop_api_server()
    federation.patch("brain", {"suspend": True})
    federation.wait_for("brain", "Suspended", "True")
    federation.hospital.start_api_server()
    if site.process.poll() is not None:
        assert site.process.returncode == LOST
        federation.restart(site)
    wait_until("no trainer", lambda: jobs(federation.hospital, north), 60, lambda left: not left)


def test_a_standby_takes_over_within_fifteen_seconds(running):
    federation, _, hub, _ = running
    standby = federation.start_hub()
    wait_until("ready to take over", lambda: standby.get("/readyz"), is_it=lambda said: said == "ready\n")
    hub.kill()
    died_at = time.monotonic()
    federation.patch("brain", {"suspend": True})
    federation.wait_for("brain", "Suspended", "True")
    assert time.monotonic() - died_at < 17  # fifteen, and two to write it all


def test_two_operators_at_once_do_no_harm_and_one_that_ends_hands_over_at_once(running):
    federation, _, hub, _ = running
    federation.start_hub()
    hub.stop()
    federation.patch("brain", {"suspend": True})
    federation.wait_for("brain", "Suspended", "True", seconds=15)
    assert hub.process.returncode == 0


def test_children_that_are_deleted_or_edited_by_hand_are_put_right(running):
    federation, north, _, _ = running
    namespace = federation.namespace
    for kind, name in (
        ("service", "brain-aggregator"),
        ("secret", "brain-aggregator-tls"),
        ("configmap", "brain-plan"),
    ):
        run_kubectl(federation.hub, "delete", kind, name, "-n", namespace)
        found = run_kubectl(federation.hub, "wait", "--for=create", f"{kind}/{name}", "-n", namespace, "--timeout=20s")
        assert found.returncode == 0, kind
    path = f"/api/v1/namespaces/{namespace}/services/brain-aggregator"
    federation.hub.request("PATCH", path, {"spec": {"selector": {"x": "y"}}}, "application/merge-patch+json")
    wait_until(
        "its selector",
        lambda: federation.hub.request("GET", path)["spec"]["selector"],
        is_it=lambda selector: selector.get("fedward.io/component") == "aggregator",
    )
    (name,) = site_jobs(federation.hospital, north)
    run_kubectl(federation.hub, "delete", "sjob", name, "-n", f"fedward-site-{north}", "--wait=false")
    wait_until(
        "asked again", lambda: site_jobs(federation.hub, f"fedward-site-{north}"), is_it=lambda found: found == [name]
    )
    run_kubectl(federation.hospital, "delete", "job", f"{name}-1", "-n", north, "--wait=false")
    wait_until("trained again", lambda: jobs(federation.hospital, north), is_it=lambda found: found == [f"{name}-1"])


def test_a_site_job_that_was_edited_by_hand_is_put_right_on_both_sides(running):
    federation, north, _, _ = running
    (name,) = site_jobs(federation.hospital, north)
    for plane, namespace in ((federation.hub, f"fedward-site-{north}"), (federation.hospital, north)):
        path = f"{GROUP}/namespaces/{namespace}/sitejobs/{name}"
        before = plane.request("GET", path)["metadata"]["generation"]
        plane.request("PATCH", path, {"spec": {"suspend": True}}, "application/merge-patch+json")
        wait_until(
            f"as asked in {namespace}",
            lambda p=plane, path=path: p.request("GET", path),
            is_it=lambda found, before=before: (
                found["metadata"]["generation"] > before + 1 and not found["spec"]["suspend"]
            ),
        )
    wait_until("a trainer", lambda: jobs(federation.hospital, north))


def test_a_site_that_is_taken_out_of_the_federation_is_named(running):
    federation, north, _, _ = running
    federation.hub.request("DELETE", f"{GROUP}/federatedsites/{north}")
    wait_until(
        "still known to the job",
        lambda: federation.found("brain")["status"]["sites"][0],
        is_it=lambda site: site["name"] == north,
    )
    federation.wait_for("brain", "Running", "True")


def forbidden(federation, user, method, path, body=None, content_type="application/merge-patch+json"):
    with pytest.raises(urllib.error.HTTPError) as refused:
        federation.hub.request(method, path, body, content_type, user=user)
    return refused.value.code


def test_a_hospital_may_write_its_own_status_and_nothing_else(running):
    federation, north, _, _ = running
    south = federation.invite("south")
    me = f"site-{north}"
    (name,) = site_jobs(federation.hospital, north)
    mine, theirs = (f"{GROUP}/namespaces/fedward-site-{site}/sitejobs" for site in (north, south))
    status = {"status": {"state": "Tampered"}}
    spec = {"spec": {"suspend": True}}
    assert forbidden(federation, me, "PATCH", f"{mine}/{name}", spec) == 403
    assert forbidden(federation, me, "DELETE", f"{mine}/{name}") == 403
    assert forbidden(federation, me, "GET", theirs) == 403
    assert forbidden(federation, me, "PATCH", f"{theirs}/{name}/status", status) == 403
    jobs_path = f"{GROUP}/namespaces/{federation.namespace}/federatedjobs"
    assert forbidden(federation, me, "GET", jobs_path) == 403
    assert forbidden(federation, me, "PATCH", f"{jobs_path}/brain/status", status) == 403
    assert forbidden(federation, me, "GET", f"/api/v1/namespaces/{federation.namespace}/secrets") == 403
    before = copy.deepcopy(federation.hub.request("GET", f"{mine}/{name}")["spec"])
    federation.hub.request(
        "PATCH", f"{mine}/{name}/status", {**status, **spec}, "application/merge-patch+json", user=me
    )
    after = wait_until(
        "the hospital's operator says it again",
        lambda: federation.hub.request("GET", f"{mine}/{name}"),
        is_it=lambda found: found["status"]["state"] != "Tampered",
    )
    assert after["spec"] == before
