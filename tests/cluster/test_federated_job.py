"""A FederatedJob from apply to its end: two API servers, the operator in both roles and with its own rights."""

from __future__ import annotations

import pytest
from monitoring.reading import read
from monitoring.server import Prometheus
from tests.cluster.conftest import run_kubectl
from tests.cluster.operators import GROUP, ROOT, end_pod, jobs, names, site_jobs, the_pod
from tests.kube.control_plane import free_ports
from tests.kube.waiting import wait_until
from tests.monitoring.observed import PROMETHEUS, needs_prometheus

pytestmark = pytest.mark.cluster


def test_a_job_runs_at_the_hub_and_at_a_hospital_within_its_rights(running):
    federation, north, hub, site = running
    namespace = federation.namespace
    assert jobs(federation.hub, namespace) == ["brain-aggregator-1"]
    assert names(federation.hub, f"/api/v1/namespaces/{namespace}/services") == ["brain-aggregator"]
    assert names(federation.hub, f"/api/v1/namespaces/{namespace}/secrets") == ["brain-aggregator-tls"]
    assert "brain-plan" in names(federation.hub, f"/api/v1/namespaces/{namespace}/configmaps")
    (mirrored,) = site_jobs(federation.hospital, north)
    assert site_jobs(federation.hub, f"fedward-site-{north}") == [mirrored]
    assert jobs(federation.hospital, north) == [f"{mirrored}-1"]
    assert names(federation.hospital, f"/apis/networking.k8s.io/v1/namespaces/{north}/networkpolicies")
    for operator in (hub, site):
        assert operator.metric("fedward_operator_api_calls_total", code="403") == 0
        assert "Forbidden" not in operator.log.read_text()


def test_a_trainer_gets_its_gpu_and_its_data_and_neither_key_nor_token(running):
    federation, north, _, _ = running
    pod = the_pod(federation.hospital, north, "trainer")
    spec = pod["spec"]
    container = spec["containers"][0]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1", "memory": "4Gi"}
    assert spec["automountServiceAccountToken"] is False
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": "scans", "readOnly": True}
    assert volumes["shared-memory"]["emptyDir"]["medium"] == "Memory"
    assert not [volume for volume in volumes.values() if "projected" in volume]
    assert spec["nodeSelector"] == {"type": "kwok"}
    assert spec["terminationGracePeriodSeconds"] == 120
    assert spec["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    secret = volumes["order"]["secret"]["secretName"]
    found = federation.hospital.request("GET", f"/api/v1/namespaces/{north}/secrets/{secret}")
    assert sorted(found["data"]) == ["plan.json", "work-order"]


def test_one_line_of_kubectl_tells_how_it_goes(running):
    federation, _, _, _ = running
    wait_until(
        "one line",
        lambda: run_kubectl(federation.hub, "get", "fjob", "-n", federation.namespace).stdout.splitlines()[1].split(),
        is_it=lambda line: line[:4] == ["brain", "Starting", "0/3", "1/1"],
    )


def test_prometheus_is_told_of_the_job_at_both_ends(running):
    federation, north, hub, site = running
    who = {"job_namespace": federation.namespace, "job_name": "brain"}
    for operator in (hub, site):
        assert operator.metric("fedward_operator_leading") == operator.metric("fedward_operator_synced") == 1
    assert hub.metric("fedward_operator_job_sites_wanted", **who) == 1
    assert hub.metric("fedward_operator_job_condition", **who, condition="Admitted", reason="Planned") == 1
    assert hub.metric("fedward_operator_job_site_state", **who, site=north) == 1
    wait_until("the offer is known", lambda: hub.metric("fedward_operator_site_gpus", site=north) == 1)
    assert hub.metric("fedward_operator_authority_not_after_timestamp_seconds") > 0
    wait_until("the part is known", lambda: site.metric("fedward_operator_site_job_state", **who) == 1)
    assert site.metric("fedward_operator_hub_connected") == site.metric("fedward_operator_policy_ready") == 1
    assert (site.metric("fedward_operator_gpus_used"), site.metric("fedward_operator_gpus_allowed")) == (1, 4)


def test_each_transition_is_told_once(running):
    federation, _, hub, _ = running
    path = f"/api/v1/namespaces/{federation.namespace}/events?fieldSelector=involvedObject.kind=FederatedJob"

    def told():
        events = federation.hub.request("GET", path)["items"]
        return sorted(event["reason"] for event in events)

    before = told()
    assert before.count("Starting") == 1
    hub.kill()
    federation.start_hub()
    end_pod(federation.hub, the_pod(federation.hub, federation.namespace, "aggregator"), 0)
    federation.wait_for("brain", "Completed", "True")
    after = told()
    assert after.count("Starting") == 1
    assert after.count("Completed") == 1


def test_a_completed_job_is_kept_until_its_time_to_live_is_over(running):
    federation, north, _, _ = running
    end_pod(federation.hospital, the_pod(federation.hospital, north, "trainer"), 0)
    wait_until(
        "the hub hears that the trainer is done",
        lambda: [each["state"] for each in federation.found("brain")["status"]["sites"]],
        is_it=lambda states: states == ["Completed"],
    )
    end_pod(federation.hub, the_pod(federation.hub, federation.namespace, "aggregator"), 0)
    federation.wait_for("brain", "Completed", "True")
    status = federation.found("brain")["status"]
    assert (status["state"], status["progress"], status["participation"]) == ("Completed", "3/3", "1/1")
    assert federation.condition("brain", "Running")["status"] == "False"
    federation.patch("brain", {"ttlSecondsAfterFinished": 0})
    path = f"{GROUP}/namespaces/{federation.namespace}/federatedjobs"
    wait_until("the job is gone", lambda: names(federation.hub, path), is_it=lambda left: not left)


def test_what_the_aggregator_gives_up_fails_the_job_and_stops_its_trainers(running):
    federation, north, _, _ = running
    pod = the_pod(federation.hub, federation.namespace, "aggregator")
    end_pod(federation.hub, pod, 3, message="QuorumLost: too few sites are left to reach the quorum")
    failed = federation.wait_for("brain", "Failed", "True")
    assert "too few sites are left" in failed["message"]
    wait_until("no trainer", lambda: jobs(federation.hospital, north), is_it=lambda left: not left)


def test_a_suspended_job_stops_everywhere_and_goes_on_as_another_attempt(running):
    federation, north, _, _ = running
    federation.patch("brain", {"suspend": True})
    federation.wait_for("brain", "Suspended", "True")
    for plane, namespace in ((federation.hub, federation.namespace), (federation.hospital, north)):
        wait_until(f"no Job in {namespace}", lambda p=plane, n=namespace: jobs(p, n), is_it=lambda left: not left)
    claims = f"/api/v1/namespaces/{federation.namespace}/persistentvolumeclaims"
    assert names(federation.hub, claims) == ["brain-aggregator"]
    federation.patch("brain", {"suspend": False})
    federation.wait_for("brain", "Running", "True")
    assert jobs(federation.hub, federation.namespace) == ["brain-aggregator-2"]
    assert federation.found("brain")["status"]["attempt"] == 2
    (mirrored,) = site_jobs(federation.hospital, north)
    trainers = wait_until("a trainer", lambda: jobs(federation.hospital, north))
    assert trainers == [f"{mirrored}-2"]


def test_a_deleted_job_leaves_nothing_in_either_cluster(running):
    federation, north, _, _ = running
    done = run_kubectl(federation.hub, "delete", "fjob", "brain", "-n", federation.namespace, "--timeout=30s")
    assert done.returncode == 0, done.stderr
    kinds = "job,pod,service,secret,persistentvolumeclaim,sitejob"
    of_jobs = ("-l", "fedward.io/component!=preflight", "-o", "name")  # inspections are of the hospital's own
    for plane, namespace in (
        (federation.hub, federation.namespace),
        (federation.hub, f"fedward-site-{north}"),
        (federation.hospital, north),
    ):
        left = wait_until(
            f"nothing is left in {namespace}",
            lambda p=plane, n=namespace: run_kubectl(p, "get", kinds, "-n", n, *of_jobs).stdout.split(),
            is_it=lambda left: not set(left) - {"persistentvolumeclaim/scans"},
        )
        assert not [name for name in left if "brain" in name]


def test_a_job_that_runs_too_long_is_ended(running):
    federation, _, _, _ = running
    federation.patch("brain", {"activeDeadlineSeconds": 1})
    failed = federation.wait_for("brain", "Failed", "True", "DeadlineExceeded")
    assert "activeDeadlineSeconds (1 s)" in failed["message"]
    wait_until("no aggregator", lambda: jobs(federation.hub, federation.namespace), is_it=lambda left: not left)


def test_a_job_waits_for_its_sites_and_starts_with_its_quorum(federation):
    sites = [federation.invite(name) for name in ("north", "south", "east")]
    federation.start_hub()
    federation.submit("brain", sites, rounds={"count": 3, "quorum": 2})
    waiting = federation.wait_for("brain", "Running", "False", "WaitingForSites")
    assert "0 of 3 sites are connected and the quorum is 2" in waiting["message"]
    assert not jobs(federation.hub, federation.namespace)
    federation.heartbeat(sites[0])
    federation.heartbeat(sites[1])
    federation.wait_for("brain", "Running", "True")
    degraded = federation.wait_for("brain", "Degraded", "True", "SiteOffline")
    assert sites[2] in degraded["message"]


def test_a_job_that_cannot_be_planned_says_why_and_can_be_corrected(federation):
    north = federation.invite("north")
    federation.start_hub()
    federation.heartbeat(north)
    federation.submit("brain", [f"{north}x"])
    refused = federation.wait_for("brain", "Admitted", "False", "SpecInvalid")
    assert f'did you mean "{north}"' in refused["message"]
    federation.patch("brain", {"sites": {"names": [north]}})
    federation.wait_for("brain", "Running", "True")


def test_a_job_that_another_controller_runs_is_left_alone(federation):
    north = federation.invite("north")
    federation.start_hub()
    federation.heartbeat(north)
    federation.submit("theirs", [north], managedBy="example.org/other")
    federation.submit("ours", [north])
    federation.wait_for("ours", "Running", "True")
    assert not federation.found("theirs").get("status")


def test_jobs_of_one_name_in_two_namespaces_do_not_meet(running):
    federation, north, _, _ = running
    first, federation.namespace = federation.namespace, f"{federation.namespace}-two"
    federation.hub.request("POST", "/api/v1/namespaces", {"metadata": {"name": federation.namespace}})
    federation.submit("brain", [north])
    federation.wait_for("brain", "Running", "True")
    assert len(site_jobs(federation.hub, f"fedward-site-{north}")) == 2
    wait_until("two trainers", lambda: jobs(federation.hospital, north), is_it=lambda found: len(found) == 2)
    run_kubectl(federation.hub, "delete", "fjob", "brain", "-n", federation.namespace, "--timeout=30s")
    wait_until("one trainer", lambda: jobs(federation.hospital, north), is_it=lambda found: len(found) == 1)
    assert jobs(federation.hub, first) == ["brain-aggregator-1"]


def test_the_longest_names_fit(federation):
    sites = [federation.invite(f"{'s' * 34}-{number}") for number in range(3)]
    federation.start_hub()
    for site in sites:
        federation.heartbeat(site)
    federation.submit("b" * 40, sites)
    federation.wait_for("b" * 40, "Running", "True")
    (name,) = jobs(federation.hub, federation.namespace)
    assert name == "b" * 40 + "-aggregator-1"
    the_pod(federation.hub, federation.namespace, "aggregator")


def test_seventy_one_sites_are_asked(federation):
    sites = [federation.invite(f"site-{number}") for number in range(71)]
    federation.start_hub()
    for site in sites:
        federation.heartbeat(site)
    federation.submit("brain", sites, rounds={"count": 1, "quorum": "50%"})
    wait_until(
        "a SiteJob in every mailbox",
        lambda: sum(len(site_jobs(federation.hub, f"fedward-site-{site}")) for site in sites),
        60,
        lambda asked: asked == 71,
    )
    assert len(federation.wait_for("brain", "Admitted", "True")) > 0
    assert len(federation.found("brain")["status"]["sites"]) == 71


def test_a_namespace_that_is_being_deleted_takes_its_job_along(running):
    federation, north, _, _ = running
    done = run_kubectl(federation.hub, "delete", "namespace", federation.namespace, "--timeout=60s")
    assert done.returncode == 0, done.stderr
    wait_until("no trainer", lambda: jobs(federation.hospital, north), is_it=lambda left: not left)


def test_the_queue_of_a_job_is_its_aggregators(federation):
    north = federation.invite("north")
    federation.start_hub()
    federation.heartbeat(north)
    job = federation.job("brain", [north])
    job["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "research"}
    federation.hub.request("POST", f"{GROUP}/namespaces/{federation.namespace}/federatedjobs", job)
    wait_until("an aggregator", lambda: jobs(federation.hub, federation.namespace))
    path = f"/apis/batch/v1/namespaces/{federation.namespace}/jobs/brain-aggregator-1"
    assert federation.hub.request("GET", path)["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"


OPERATORS_PANELS = {
    "fedward-hub/dashboards/federation.json": (
        *("Sites not heard", "Failed jobs", "Sites connected", "Jobs under way", "GPUs offered", "Authority ends in"),
        *("Hospitals", "Hospitals connected", "Operator leads", "Operator sees all", "Longest wait", "Objects known"),
        *("Reconciliations", "Calls to the API server", "Objects waiting", "Rounds done"),
    ),
    "fedward-site/dashboards/site.json": ("Hub reached", "Policy holds", "GPUs", "Operator", "Longest wait"),
}


@needs_prometheus
def test_the_dashboards_show_what_real_operators_say(running, tmp_path):
    federation, _, hub, site = running
    assert PROMETHEUS is not None
    variables = {"job_namespace": federation.namespace, "job_name": "brain", "site": ".*", "__rate_interval": "30s"}
    targets = {each.name: [each.process.args[-1].removeprefix("--metrics=")] for each in (hub, site)}
    with Prometheus(PROMETHEUS, tmp_path, free_ports(1)[0], targets) as prometheus:
        for path, titles in OPERATORS_PANELS.items():
            dashboard = read(ROOT / "charts" / path)
            for target in (target for title in titles for target in dashboard.panel(title).targets):
                asked = target.filled(variables)
                wait_until(asked, lambda asked=asked: prometheus.client.ask(asked))
