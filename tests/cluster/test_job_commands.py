"""`fedward sites`, `describe`, `watch`, `logs` and `report` at a real API server, with the rights of a researcher."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading

import pytest
from tests.cluster.commands import fedward
from tests.cluster.conftest import run_kubectl
from tests.cluster.operators import ROOT
from tests.kube.binaries import binaries

from fedward_cli.cluster.reader import manifest as reader_pod
from fedward_cli.cluster.whose import AtHub
from fedward_operator.pod_manifests import restricted_container, restricted_pod

pytestmark = pytest.mark.cluster

SINCE = "2026-03-01T12:00:00Z"


def condition(kind, status, reason, message=""):
    said = {"type": kind, "status": status, "reason": reason, "message": message}
    return {**said, "lastTransitionTime": SINCE, "observedGeneration": 1}


def site(name, state, reason=None, message="", dice=None):
    made = {"name": name, "state": state, "message": message, "round": 7}
    return made | ({"reason": reason} if reason else {}) | ({"metrics": {"dice": dice}} if dice else {})


TRAINS = {
    "observedGeneration": 1,
    "planDigest": "a" * 64,
    "attempt": 1,
    "startTime": SINCE,
    "round": 7,
    "rounds": 30,
    "progress": "7/30",
    "participation": "2/3",
    "state": "Training",
    "metrics": {"dice": 0.681},
    "sites": [
        site("north", "Training", dice=0.7),
        site("south", "Submitted", dice=0.66),
        site("west", "Refused", "ImageNotAllowed", "the policy allows no image like this"),
    ],
    "conditions": [
        condition("Admitted", "True", "Planned", "the plan is made for 3 sites"),
        condition("Running", "True", "Training", "round 7 of 30"),
        condition("QuorumMet", "True", "EnoughSites", "2 take part, the quorum is 2"),
        condition("Degraded", "True", "ImageNotAllowed", "west: ImageNotAllowed"),
        condition("Completed", "False", "NotFinished"),
        condition("Failed", "False", "NotFailed"),
        condition("Suspended", "False", "NotSuspended"),
    ],
}


def ended(kind, reason):
    others = [each for each in TRAINS["conditions"] if each["type"] not in (kind, "Running")]
    said = [*others, condition(kind, "True", reason), condition("Running", "False", kind)]
    return {**TRAINS, "state": kind, "conditions": said, "completionTime": SINCE}


STATUS = ("--subresource=status", "--type=merge")

SPEC = {
    "model": {"network": {"name": "UNet"}},
    "data": {"dataset": "brats", "modalities": ["t1c"]},
    "sites": {"names": ["north", "south", "west"]},
    "rounds": {"count": 30},
}


def aggregators_pod(namespace):
    """What is left of the job's aggregator."""
    labels = {"fedward.io/component": "aggregator", "fedward.io/job": "brain"}
    container = restricted_container("aggregator", "registry.example.org/aggregator:1", [], resources={}, mounts=[])
    metadata = {"name": "brain-aggregator-1-abcde", "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": restricted_pod([container], [])}


def part(namespace):
    """A SiteJob of the job with the long name."""
    return {
        "apiVersion": "fedward.io/v1alpha1",
        "kind": "SiteJob",
        "metadata": {"name": f"{LONG}-00000000", "namespace": namespace},
        "spec": {
            "job": {"namespace": "research", "name": LONG, "uid": "00000000-0000"},
            "site": "north",
            "federation": "example.org",
            "attempt": 1,
            "aggregator": {"address": "hub.example.org:443", "serverName": "glioma.research.example.org"},
            "plan": "{}",
            "planDigest": "a" * 64,
            "dataset": "brats",
        },
    }


class Hub:
    """The hub as its administrator and a researcher see it; no operator runs, so a test says how a job is."""

    def __init__(self, plane, namespace):
        self.plane, self.namespace = plane, namespace
        self._researcher = plane.kubeconfig("ada")
        self.kubectl("apply", "-n", namespace, "-f", str(ROOT / "cli/fedward_cli/cluster/rights/researcher.yaml"))
        self.kubectl("create", "rolebinding", "ada", f"-n={namespace}", "--role=fedward-researcher", "--user=ada")
        binding = ("create", "clusterrolebinding", f"ada-{namespace}", "--clusterrole=fedward-sites-reader")
        self.kubectl(*binding, "--user=ada")

    def kubectl(self, *arguments, document=None):
        """Run kubectl as the administrator, which has to work."""
        done = run_kubectl(self.plane, *arguments, manifest=json.dumps(document) if document else None)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make(self, name, status):
        """Make a job."""
        kind = {"apiVersion": "fedward.io/v1alpha1", "kind": "FederatedJob"}
        document = {**kind, "metadata": {"name": name, "namespace": self.namespace}, "spec": SPEC}
        self.kubectl("apply", "-f", "-", document=document)
        self.say(name, status)

    def say(self, name, status):
        """Give a job this status."""
        self.kubectl("patch", "fjob", name, f"-n={self.namespace}", *STATUS, "-p", json.dumps({"status": status}))

    def make_site(self, name, cases, reason="Heard"):
        """Make a site that offers these datasets."""
        kind = {"apiVersion": "fedward.io/v1alpha1", "kind": "FederatedSite", "metadata": {"name": name}}
        self.kubectl("apply", "-f", "-", document={**kind, "spec": {"displayName": "North University Hospital"}})
        status = {"version": "0.1.0", "gpus": 1, "datasets": list(cases), "cases": cases}
        status["conditions"] = [condition("Connected", str(reason == "Heard"), reason)]
        self.kubectl("patch", "fsite", name, *STATUS, "-p", json.dumps({"status": status}))

    def happen(self, name, reason, message):
        """Make an Event about a job."""
        about = {"apiVersion": "fedward.io/v1alpha1", "kind": "FederatedJob", "name": name, "namespace": self.namespace}
        event = {"metadata": {"name": f"{name}.1", "namespace": self.namespace}, "involvedObject": about}
        event |= {"apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message}
        self.kubectl("create", "-f", "-", document={**event, "lastTimestamp": SINCE})

    @contextlib.contextmanager
    def watching(self, name, *options):
        """Watch a job as the researcher, no longer than the block."""
        command, environment = self.command("watch", name, "-n", self.namespace, *options)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=environment, **pipes) as process:
            late = threading.Timer(60, process.kill)
            late.start()
            try:
                yield process
            finally:
                late.cancel()
                process.kill()

    def command(self, *arguments):
        """Give the command and its environment, as the researcher runs it."""
        path = f"{binaries()}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "KUBECONFIG": str(self._researcher), "PATH": path, "COLUMNS": "200"}
        return [sys.executable, "-m", "fedward_cli.main", *arguments], environment

    def fedward(self, *arguments):
        """Run the command as the researcher."""
        command, environment = self.command(*arguments)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def hub_of(with_kinds, namespace):
    return Hub(with_kinds[0], namespace)


def test_a_researcher_sees_the_sites_and_her_own_jobs_on_them(hub_of):
    hub_of.make_site("north", {"brats": 115})
    hub_of.make("brain", TRAINS)

    done = hub_of.fedward("sites", "-n", hub_of.namespace, "-o", "json")
    found = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (0, "")
    (north,) = [each for each in found["sites"] if each["name"] == "north"]
    assert (north["connected"], north["gpus"], north["datasets"]) == (True, 1, [{"name": "brats", "cases": 115}])
    assert north["jobs"] == [f"{hub_of.namespace}/brain"]
    assert [each.partition(",")[0] for each in found["unseen"]] == [
        "jobs of other namespaces",
        "requests for certificates",
    ]


def test_a_job_is_described_with_its_trouble_first_and_what_happened_last(hub_of):
    hub_of.make("brain", TRAINS)
    hub_of.happen("brain", "WaitingForQuorum", "the aggregator waits for sites")

    done = hub_of.fedward("describe", "brain", "-n", hub_of.namespace)

    assert (done.returncode, done.stderr) == (0, "")
    parts = ["2/3", "site west: ImageNotAllowed", "ask the administrator of west", "#imagenotallowed", "plan ", "south"]
    places = [done.stdout.index(each) for each in [*parts, "the aggregator waits for sites"]]
    assert places == sorted(places), done.stdout


def test_a_hospitals_part_is_described_where_there_is_no_job(hub_of):
    hub_of.kubectl("apply", "-f", "-", document=part(hub_of.namespace))
    waits = condition("Admitted", "Unknown", "ApprovalPending", "a person has to approve it")
    patch = json.dumps({"status": {"state": "Waiting", "conditions": [waits]}})
    hub_of.kubectl("patch", "sjob", f"{LONG}-00000000", f"-n={hub_of.namespace}", *STATUS, "-p", patch)

    done = fedward(hub_of.plane, "describe", LONG, "-n", hub_of.namespace)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"the part of north in research/{LONG}: Waiting\n")
    assert f"next: fedward approve {LONG}-00000000 -n {hub_of.namespace}" in done.stdout
    assert "NoSitePolicy" in done.stdout


def test_a_job_is_watched_to_its_end_whose_exit_code_says_how_it_was(hub_of):
    hub_of.make("brain", TRAINS)
    with hub_of.watching("brain") as watching:
        assert "brain: Training, round 7/30, sites 2/3, dice 0.681" in watching.stdout.readline()
        assert "site west Refused (ImageNotAllowed" in watching.stdout.readline()
        hub_of.say("brain", {**TRAINS, "round": 8, "progress": "8/30", "metrics": {"dice": 0.7}})
        assert "brain: Training, round 8/30, sites 2/3, dice 0.700" in watching.stdout.readline()
        hub_of.say("brain", ended("Failed", "QuorumLost"))
        said, complaints = watching.communicate(timeout=30)
    assert "brain: Failed" in said
    assert (watching.returncode, complaints) == (1, "")
    hub_of.say("brain", ended("Completed", "Completed"))
    assert hub_of.fedward("watch", "brain", "-n", hub_of.namespace).returncode == 0


def test_a_job_that_is_deleted_or_was_never_there_ends_a_watch_with_2(hub_of):
    absent = hub_of.fedward("watch", "nobody", "-n", hub_of.namespace)
    assert (absent.returncode, "there is no job nobody in the namespace" in absent.stderr) == (2, True)
    hub_of.make("brain", TRAINS)
    with hub_of.watching("brain", "-o", "json") as watching:
        assert json.loads(watching.stdout.readline())["round"] == 7
        hub_of.kubectl("delete", "fjob", "brain", f"-n={hub_of.namespace}")
        complaints = watching.communicate(timeout=30)[1]
    assert (watching.returncode, "brain was deleted" in complaints) == (2, True)


@pytest.mark.parametrize("command", ["watch", "describe", "logs", "report"])
def test_a_missing_right_is_named_with_who_can_give_it(hub_of, command):
    done = hub_of.fedward(command, "brain", "-n", "default")
    assert done.returncode == 2
    assert "the right to get federatedjobs in the namespace default is missing" in done.stderr
    assert "docs/hub-admin.md#researchers" in done.stderr


def test_a_report_needs_the_right_to_make_pods_and_makes_one_that_the_restricted_standard_admits(hub_of, tmp_path):
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    hub_of.kubectl("label", "namespace", hub_of.namespace, restricted)
    hub_of.make("brain", ended("Completed", "Completed"))
    job = json.loads(hub_of.kubectl("get", "fjob", "brain", f"-n={hub_of.namespace}", "-o", "json"))
    found = AtHub(job)
    hub_of.kubectl("apply", "-f", "-", document=aggregators_pod(hub_of.namespace))

    refused = hub_of.fedward("report", "brain", "-n", hub_of.namespace, "--out", str(tmp_path))
    assert (refused.returncode, "the right to create pods in the namespace" in refused.stderr) == (2, True)
    made = reader_pod(found, "registry.example.org/fedward-aggregator:1", ("pull",))
    created = json.loads(hub_of.kubectl("create", "-o", "json", "-f", "-", document=made))
    assert created["metadata"]["name"].startswith("brain-report-")
    mounts = {each["name"]: each.get("readOnly", False) for each in created["spec"]["containers"][0]["volumeMounts"]}
    assert mounts == {"state": True, "plan": True, "tmp": False}
    (preferred,) = created["spec"]["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    beside = preferred["podAffinityTerm"]["labelSelector"]["matchLabels"]
    assert beside == {"fedward.io/component": "tracker", "fedward.io/job-uid": found.job["metadata"]["uid"]}


def test_a_running_jobs_report_is_refused_before_anything_is_made(hub_of):
    hub_of.make("brain", TRAINS)
    done = hub_of.fedward("report", "brain", "-n", hub_of.namespace)
    assert done.returncode == 2
    assert "brain goes on (Training, round 7/30)" in done.stderr


def test_names_are_completed_from_the_cluster_that_is_named(hub_of, tmp_path):
    hub_of.make("brain-one", TRAINS)
    hub_of.make("other", TRAINS)
    command, environment = hub_of.command("__complete", "watch", "-n", hub_of.namespace, "br")
    kubeconfig = environment.pop("KUBECONFIG")
    command[-1:] = ["--kubeconfig", kubeconfig, "br"]
    elsewhere = {**environment, "HOME": str(tmp_path)}
    done = subprocess.run(command, env=elsewhere, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["brain-one"]


LONG = "glioma-segmentation-2026-q1"
"""A job's name as people choose them."""


def test_lists_fit_80_columns_and_wide_ones_120_but_for_the_message(hub_of):
    hub_of.make(LONG, {**TRAINS, "state": "WaitingForQuorum", "metrics": {"dice": 0.681234}})
    hub_of.make_site("university-north", {"brats": 115})
    hub_of.kubectl("apply", "-f", "-", document=part(hub_of.namespace))
    patch = json.dumps({"status": {"state": "WaitingForTurn", "message": "another job runs"}})
    hub_of.kubectl("patch", "sjob", f"{LONG}-00000000", f"-n={hub_of.namespace}", *STATUS, "-p", patch)

    for kind in ("fjob", "fsite", "sjob"):
        where = () if kind == "fsite" else (f"-n={hub_of.namespace}",)
        narrow = hub_of.kubectl("get", kind, *where).splitlines()
        wide = hub_of.kubectl("get", kind, *where, "-o", "wide").splitlines()
        assert max(len(line.rstrip()) for line in narrow) <= 80, narrow
        assert wide[0].find("MESSAGE") <= 120, wide
        assert kind != "fsite" or max(len(line.rstrip()) for line in wide) <= 120, wide
