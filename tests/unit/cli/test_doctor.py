"""What `fedward doctor` makes of a cluster as kubectl shows it: each thing that can be wrong, found and named."""

from __future__ import annotations

import base64
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest

from fedward_cli.cluster.doctor import examine
from fedward_cli.cluster.kubectl import ClusterError
from fedward_cli.main import main
from fedward_operator.api.crds import KINDS, definition
from fedward_operator.checks.finding import Level
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAMESPACE = "fedward"
FEDERATION = "fed.example.org"


def ago(**time):
    return (NOW - timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%SZ")


def meta(name, namespace=NAMESPACE, **more):
    return {"name": name, "namespace": namespace, "uid": f"uid-{name}", "creationTimestamp": ago(hours=2), **more}


def condition(kind, status="True", reason="Because", message="so it is"):
    return {"type": kind, "status": status, "reason": reason, "message": message}


class Kubectl:
    """Stands for kubectl and the cluster behind it."""

    def __init__(self, forbidden=(), secrets=None, **kinds):
        self.forbidden, self.secrets, self.kinds, self.asked = forbidden, secrets or {}, kinds, []

    def __call__(self, arguments, given=None):
        self.asked.append(list(arguments))
        verb, kind, *rest = arguments
        kind = kind.partition(".")[0]
        assert (verb, given) == ("get", None), "it only looks"
        if kind in self.forbidden:
            raise ClusterError(f'Error from server (Forbidden): {kind} is forbidden: User "x" cannot list')
        if kind == "secret":
            path = rest[rest.index("-o") + 1].removeprefix("jsonpath={.data.").removesuffix("}").replace("\\.", ".")
            return base64.b64encode(self.secrets.get(rest[0], {}).get(path, b"")).decode()
        found = self.kinds.get(kind, [])
        if "--namespace" in rest:
            wanted = rest[rest.index("--namespace") + 1]
            found = [each for each in found if each["metadata"]["namespace"] == wanted]
        if "--ignore-not-found" in rest:
            names = rest[rest.index("--ignore-not-found") + 1 :]
            found = [each for each in found if each["metadata"]["name"] in names]
            if len(found) < 2:
                return "".join(json.dumps({"kind": "One"} | each) for each in found)
        return json.dumps({"kind": "List", "items": found})


def deployment(name, *arguments, **status):
    labels = {"app.kubernetes.io/instance": "mine"}
    spec = {"template": {"spec": {"containers": [{"args": list(arguments)}]}}}
    return {"metadata": meta(name, labels=labels), "spec": spec, "status": status}


def pod(
    name, phase="Running", ready=True, *, component="gateway", owner=None, created=None, namespace=NAMESPACE, **status
):
    metadata = meta(name, namespace, labels={"fedward.io/component": component})
    if owner:
        metadata["ownerReferences"] = [{"kind": owner.partition("/")[0], "uid": owner}]
    if created:
        metadata["creationTimestamp"] = created
    conditions = [condition("Ready", str(ready)), *status.pop("conditions", [])]
    return {"metadata": metadata, "status": {"phase": phase, "conditions": conditions, **status}}


def container(restarts=0, **state):
    return {"name": "c", "restartCount": restarts, "state": state}


AUTHORITY = Authority.create(FEDERATION, NOW - timedelta(days=1))
HELD = AUTHORITY.issue(Identity(FEDERATION, "site", "north"), [], NOW - timedelta(days=1), timedelta(days=30))


MADE = {kind.plural: definition(kind) for kind in KINDS}


def kind_of(plural):
    return MADE[plural] | {"status": {"conditions": [condition("Established")]}}


@pytest.fixture
def site():
    """A hospital that works; a test breaks what it likes."""
    spec = {"datasets": [], "gpus": {"count": 1}}
    status = {"observedGeneration": 1, "conditions": [condition("Ready"), condition("DataSound")]}
    return Kubectl(
        secrets={"fedward-gateway-tls": {"tls.crt": HELD.cert_pem, "ca.crt": HELD.ca_pem, "tls.key": HELD.key_pem}},
        deployments=[
            deployment("fedward-site-operator", "site", "--site", "north", "--federation", FEDERATION),
            deployment("fedward-gateway"),
        ],
        pods=[pod("gateway-0"), pod("operator-0", component="site-operator")],
        persistentvolumeclaims=[{"metadata": meta("state"), "status": {"phase": "Bound"}}],
        customresourcedefinitions=[kind_of("sitejobs"), kind_of("sitepolicies")],
        sitepolicies=[{"metadata": meta("north", generation=1), "spec": spec, "status": status}],
        nodes=[{"metadata": {"name": "node-1"}, "status": {"allocatable": {"nvidia.com/gpu": "1"}}}],
    )


@pytest.fixture
def hub():
    """A hub that works."""
    operator = deployment("fedward-hub-operator", "hub", "--federation", FEDERATION, "--authority-secret", "own", "--x")
    slices = {"metadata": meta("door-1", labels={"kubernetes.io/service-name": "fedward-door"})}
    site = {"metadata": {"name": "north"}, "status": {"conditions": [condition("Connected")], "version": "0.1.0"}}
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return Kubectl(
        secrets={"own": {"tls.crt": AUTHORITY.ca_pem, "tls.key": AUTHORITY.key_pem, "ca.crt": AUTHORITY.trusted_pem}},
        deployments=[operator, deployment("fedward-door")],
        pods=[pod("hub-operator-0", component="hub-operator")],
        customresourcedefinitions=[kind_of(kind.plural) for kind in KINDS],
        endpointslices=[slices | {"endpoints": [{"conditions": {"ready": True}}]}],
        storageclasses=[{"metadata": {"name": "fast", "annotations": default}}],
        federatedsites=[site],
    )


def found(run, role=None):
    (diagnosis,) = examine(role, NAMESPACE, NOW, run)
    return diagnosis


def troubles(run):
    levels = (Level.WRONG, Level.WARNING)
    return {each.about: (each.level.value, each.reason) for each in found(run).findings if each.level in levels}


def then(run, about):
    return next(each.then for each in found(run).findings if each.about == about)


def test_a_hospital_that_works_is_healthy_and_says_what_a_pod_could_see_beyond(site):
    diagnosis = found(site)

    assert diagnosis.is_healthy
    assert {each.level for each in diagnosis.findings} == {Level.OK}
    assert str(diagnosis).splitlines()[0] == "The site in the namespace fedward"
    assert str(diagnosis).splitlines()[-1].endswith("helm test mine -n fedward --logs")
    assert {each.about for each in diagnosis.findings} >= {"certificate of the site", "policy", "datasets", "GPUs"}


def test_a_hub_that_works_is_healthy(hub):
    diagnosis = found(hub)

    assert diagnosis.is_healthy
    assert {each.level for each in diagnosis.findings} == {Level.OK}
    assert {each.about for each in diagnosis.findings} >= {
        "authority",
        "pods of the door",
        "site north",
        "kind SiteJob",
    }


def test_no_key_is_asked_for(site, hub):
    found(site), found(hub)

    assert not [command for command in (*site.asked, *hub.asked) if "key" in " ".join(command)]
    assert not [command for command in (*site.asked, *hub.asked) if command[1] == "secrets"]


def test_what_is_installed_is_found_out_and_what_is_not_is_said(site, hub):
    both = Kubectl(deployments=[*site.kinds["deployments"], *hub.kinds["deployments"]])
    assert [each.what for each in examine(None, NAMESPACE, NOW, both)] == [
        "The hub in the namespace fedward",
        "The site in the namespace fedward",
    ]
    for role, words in ((None, "neither a hub nor a site"), ("hub", "no hub")):
        with pytest.raises(ClusterError, match=f"there is {words} in the namespace fedward: name .* with -n"):
            examine(role, NAMESPACE, NOW, Kubectl())
    with pytest.raises(ClusterError, match="no hub"):
        examine("hub", NAMESPACE, NOW, site)


UNSCHEDULABLE = condition(
    "PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
)


@pytest.mark.parametrize(
    ("sick", "reason", "command"),
    [
        (
            pod("x", "Pending", False, containerStatuses=[container(waiting={"reason": "ImagePullBackOff"})]),
            "ImagePullFailed",
            "kubectl describe pod x -n fedward",
        ),
        (
            pod("x", ready=False, containerStatuses=[container(3, waiting={"reason": "CrashLoopBackOff"})]),
            "CrashLoop",
            "kubectl logs x -n fedward",
        ),
        (
            pod("x", "Pending", False, conditions=[UNSCHEDULABLE]),
            "GpuUnschedulable",
            "kubectl describe pod x -n fedward",
        ),
        (pod("x", "Pending", False), "NotReady", "kubectl describe pod x -n fedward"),
        (
            pod("x", "Pending", False, containerStatuses=[container(waiting={"reason": "ContainerCreating"})]),
            "NotReady",
            "kubectl describe pod x -n fedward",
        ),
        (
            pod("x", "Failed", False, containerStatuses=[container(terminated={"exitCode": 1, "message": "no hub"})]),
            "ContainerFailed",
            "kubectl logs x -n fedward",
        ),
    ],
)
def test_a_pod_that_does_not_run_is_said_why_and_what_shows_more(site, sick, reason, command):
    site.kinds["pods"].append(sick)

    assert troubles(site) == {"pod x": ("wrong", reason)}
    assert then(site, "pod x") == command


def test_pods_that_are_as_they_should_be_are_not_troubles(site):
    site.kinds["pods"] += [
        pod("young", "Pending", False, created=ago(seconds=20)),
        pod("done", "Succeeded", False),
        pod("failed-once", "Failed", False, owner="Job/a", created=ago(hours=1), component="trainer"),
        pod("then-ran", owner="Job/a", created=ago(minutes=30), component="trainer"),
        pod("of-somebody-else", "Failed", False) | {"metadata": meta("of-somebody-else")},
    ]
    assert troubles(site) == {}


def test_each_pod_of_a_deployment_counts(site):
    site.kinds["pods"] += [
        pod("door-a", ready=False, owner="ReplicaSet/door"),
        pod("door-b", owner="ReplicaSet/door", created=ago(minutes=5)),
    ]
    assert troubles(site) == {"pod door-a": ("wrong", "NotReady")}


def test_a_pod_that_is_started_again_and_again_is_a_warning(site):
    site.kinds["pods"].append(pod("x", containerStatuses=[container(7)]))

    assert troubles(site) == {"pod x": ("warning", "CrashLoop")}
    assert then(site, "pod x") == "kubectl logs x -n fedward --previous"


def test_a_deployment_that_gets_no_pods_is_said_why(site):
    refused = condition("ReplicaFailure", message='pods "x" is forbidden: exceeded quota: small')
    site.kinds["deployments"][1]["status"] = {"conditions": [refused]}

    assert troubles(site) == {"pods of fedward-gateway": ("wrong", "QuotaExceeded")}


def event(kind, name, reason, message="because", *, minutes=5, type_="Warning", namespace=NAMESPACE):
    about = {"kind": kind, "name": name, "namespace": namespace}
    time = {"lastTimestamp": ago(minutes=minutes)}
    return {
        "metadata": meta(f"{name}.{reason}"),
        "type": type_,
        "reason": reason,
        "message": message,
        "involvedObject": about,
    } | time


def test_a_claim_without_a_volume_is_said_with_the_last_thing_said_of_it(site):
    site.kinds["persistentvolumeclaims"].append({"metadata": meta("audit"), "status": {"phase": "Pending"}})
    site.kinds["events"] = [
        event("PersistentVolumeClaim", "audit", "ProvisioningFailed", "older", minutes=50),
        event("PersistentVolumeClaim", "audit", "ProvisioningFailed", "no class is the default"),
    ]
    assert troubles(site) == {"claim audit": ("wrong", "VolumePending")}
    assert "no class is the default" in str(found(site))

    site.kinds["events"].append(
        event("PersistentVolumeClaim", "audit", "WaitForFirstConsumer", minutes=1, type_="Normal")
    )
    assert "claim audit" not in troubles(site)


def test_a_claim_that_lost_its_volume_is_wrong(site):
    site.kinds["persistentvolumeclaims"][0]["status"]["phase"] = "Lost"

    assert troubles(site) == {"claim state": ("wrong", "VolumeLost")}


def test_warnings_of_the_last_hour_are_told_once_and_not_again_of_what_is_wrong_already(site):
    site.kinds["pods"].append(pod("x", "Pending", False))
    site.kinds["events"] = [
        event("Pod", "x", "FailedMount"),
        event("Pod", "gateway-0", "Unhealthy", "first", minutes=30),
        event("Pod", "gateway-0", "Unhealthy", "again", minutes=2),
        event("Pod", "gateway-0", "BackOff", minutes=90),
        event("Pod", "gateway-0", "Pulled", type_="Normal"),
    ]
    assert troubles(site) == {"pod x": ("wrong", "NotReady"), "pod gateway-0": ("warning", "")}
    (warned,) = [each for each in found(site).findings if each.level is Level.WARNING]
    assert warned.said == "Unhealthy, 2 minutes ago: again"
    assert warned.then == "kubectl describe pod gateway-0 -n fedward"


def test_more_warnings_than_one_reads_are_counted(site):
    site.kinds["events"] = [event("Pod", f"p-{n}", "Unhealthy", minutes=n) for n in range(1, 14)]

    assert len(troubles(site)) == 10
    assert "3 warnings more" in str(found(site))
    assert "pod p-1" in troubles(site)


@pytest.mark.parametrize(
    ("break_it", "about", "trouble"),
    [
        (lambda it: it.secrets.clear(), "certificate of the site", ("wrong", "NotJoined")),
        (lambda it: it.kinds["sitepolicies"].clear(), "policy", ("wrong", "NoSitePolicy")),
        (
            lambda it: it.kinds["sitepolicies"].append({"metadata": meta("b")}),
            "policy",
            ("wrong", "SeveralSitePolicies"),
        ),
        (lambda it: it.kinds["nodes"].clear(), "GPUs", ("wrong", "GpuMissing")),
        (lambda it: it.kinds["customresourcedefinitions"].pop(), "kind SitePolicy", ("wrong", "KindMissing")),
        (lambda it: it.kinds["customresourcedefinitions"].clear(), "kind SiteJob", ("wrong", "KindMissing")),
    ],
)
def test_what_a_hospital_lacks_is_found(site, break_it, about, trouble):
    break_it(site)

    assert troubles(site)[about] == trouble


def test_a_certificate_that_expires_or_has_is_found(site):
    for days, trouble in ((28, ("warning", "CertificateExpiring")), (30, ("wrong", "CertificateExpired"))):
        (diagnosis,) = examine(None, NAMESPACE, NOW + timedelta(days=days), site)
        (judged,) = [each for each in diagnosis.findings if each.about == "certificate of the site"]
        assert (judged.level.value, judged.reason) == trouble


def job(name, *conditions, **status):
    return {"metadata": meta(name), "spec": {}, "status": {"conditions": list(conditions), **status}}


ADMITTED, RUNS = condition("Admitted"), condition("Running")


@pytest.mark.parametrize(
    ("asked", "trouble"),
    [
        (job("a", condition("Completed")), None),
        (job("a", ADMITTED, RUNS, state="Training"), None),
        (job("a", ADMITTED, condition("Running", "False"), state="Suspended"), None),
        (job("a", condition("Admitted", "Unknown", "OutsideWindow")), None),
        (job("a", condition("Admitted", "Unknown", "ApprovalPending")), ("warning", "ApprovalPending")),
        (job("a", condition("Admitted", "False", "GpuNotOffered")), ("warning", "GpuNotOffered")),
        (job("a", ADMITTED, condition("Failed", reason="BackoffLimitExceeded")), ("warning", "BackoffLimitExceeded")),
        (job("a", ADMITTED, condition("Running", "False", "GpuUnschedulable")), ("wrong", "GpuUnschedulable")),
        (job("a"), ("wrong", "Pending")),
    ],
)
def test_a_part_in_a_job_that_does_not_go_on_is_said_why(site, asked, trouble):
    site.kinds["sitejobs"] = [asked]

    assert troubles(site) == ({} if trouble is None else {"job a": trouble})


def test_what_waits_for_a_person_is_told_with_the_command(site):
    site.kinds["sitejobs"] = [job("a", condition("Admitted", "Unknown", "ApprovalPending"))]

    assert then(site, "job a") == "fedward approve a -n fedward"


@pytest.mark.parametrize(
    ("asked", "trouble"),
    [
        (job("a", condition("Completed"), condition("Degraded")), None),
        (job("a", condition("Suspended"), condition("Running", "False")), None),
        (job("a", ADMITTED, RUNS, state="Training", progress="7/30", participation="3/4"), None),
        (job("a", ADMITTED, RUNS, condition("Degraded", reason="SiteOffline")), ("warning", "SiteOffline")),
        (job("a", ADMITTED, condition("Failed", reason="QuorumLost")), ("warning", "QuorumLost")),
        (job("a", condition("Admitted", "False", "SpecInvalid")), ("wrong", "SpecInvalid")),
        (job("a", ADMITTED, condition("Running", "False", "WaitingForSites")), ("wrong", "WaitingForSites")),
        (job("a"), ("wrong", "Pending")),
    ],
)
def test_a_job_that_does_not_go_on_is_said_why(hub, asked, trouble):
    hub.kinds["federatedjobs"] = [asked]

    assert troubles(hub) == ({} if trouble is None else {"job fedward/a": trouble})


@pytest.mark.parametrize(
    ("break_it", "about", "trouble"),
    [
        (lambda it: it.secrets.clear(), "authority", ("wrong", "AuthorityMissing")),
        (lambda it: it.kinds["storageclasses"].clear(), "storage class", ("wrong", "StorageClassMissing")),
        (lambda it: it.kinds["endpointslices"].clear(), "pods of the door", ("wrong", "DoorWithoutPods")),
        (lambda it: it.kinds["customresourcedefinitions"].pop(0), "kind FederatedJob", ("wrong", "KindMissing")),
        (
            lambda it: it.kinds["federatedsites"][0]["status"].update(
                conditions=[condition("Connected", "False", "HeartbeatMissed")]
            ),
            "site north",
            ("wrong", "HeartbeatMissed"),
        ),
    ],
)
def test_what_a_hub_lacks_is_found(hub, break_it, about, trouble):
    break_it(hub)

    assert troubles(hub) == {about: trouble}


def test_an_aggregator_in_a_researchers_namespace_is_looked_at_too(hub):
    hub.kinds["pods"].append(pod("agg", "Pending", False, component="aggregator", namespace="research"))
    hub.kinds["pods"].append(pod("at-home", component="aggregator"))

    assert [each.about for each in found(hub).findings].count("pod at-home") == 1
    assert troubles(hub) == {"pod agg": ("wrong", "NotReady")}
    assert then(hub, "pod agg") == "kubectl describe pod agg -n research"


def test_a_hospital_that_waits_to_be_let_in_is_told_with_the_command(hub):
    user = "system:serviceaccount:fedward-site-south:fedward-invitation"
    hub.kinds["certificatesigningrequests"] = [
        {"metadata": {"name": "x", "creationTimestamp": ago(hours=1)}, "spec": {"username": user}},
        {"metadata": {"name": "y"}, "spec": {"username": user}, "status": {"conditions": [condition("Approved")]}},
        {"metadata": {"name": "z"}, "spec": {"username": "somebody"}},
    ]
    assert troubles(hub) == {"site south": ("warning", "ApprovalPending")}
    assert then(hub, "site south") == "fedward approve site south"


def test_what_may_not_be_seen_is_said_and_nothing_is_made_of_it(site, hub):
    seen = ("nodes", "secret", "customresourcedefinitions", "events", "persistentvolumeclaims", "sitepolicies", "pods")
    site.forbidden = seen
    assert troubles(site) == {}
    assert {each.about for each in found(site).findings if each.level is Level.SKIPPED} >= {"pods", "events"}
    assert "Forbidden" in str(found(site))

    hub.forbidden = (*seen, "endpointslices", "storageclasses", "federatedsites", "federatedjobs")
    hub.forbidden = (*hub.forbidden, "certificatesigningrequests")
    assert troubles(hub) == {}


def test_it_is_read_at_80_columns(site):
    site.kinds["pods"].append(pod("x", "Pending", False, conditions=[UNSCHEDULABLE]))

    lines = str(found(site)).splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert lines[1].startswith("wrong    pod x: GpuUnschedulable: ")
    assert "         see:  docs/troubleshooting.md#gpuunschedulable" in lines


PROGRAM = """\
import json, os, sys
kind = sys.argv[2].partition(".")[0]
if kind != "secret":
    print(json.dumps({"kind": "List", "items": json.loads(os.environ["SHOWN"]).get(kind, [])}))
"""


def test_the_command_ends_by_what_it_found(site, tmp_path, monkeypatch, capsys):
    program = tmp_path / "kubectl"
    program.write_text(f"#!{sys.executable}\n{PROGRAM}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for shown, arguments, code, words in (
        (site.kinds, ["doctor", "site"], 1, "certificate of the site: NotJoined"),
        (site.kinds, ["doctor", "site", "-o", "json"], 1, '"reason": "NotJoined"'),
        (site.kinds, ["doctor", "site", "-o", "yaml"], 1, "healthy: false"),
        ({}, ["doctor", "-n", "elsewhere"], 2, "neither a hub nor a site in the namespace elsewhere"),
    ):
        monkeypatch.setenv("SHOWN", json.dumps(shown))
        monkeypatch.setattr(sys, "argv", ["fedward", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == code
        assert words in "".join(capsys.readouterr())


def test_what_kubectl_says_is_passed_on_without_its_log(tmp_path, monkeypatch):
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\necho 'E1125 21:27:53.4 1 memcache.go:265] tried' >&2; echo 'refused' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ClusterError) as error:
        examine(None, NAMESPACE, NOW)
    assert str(error.value) == "refused"
