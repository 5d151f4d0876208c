"""The real API server takes the documents that a local run takes, and refuses what no operator could carry out."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import yaml

from fedward_operator.api.job import FederatedJobSpec

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = list(yaml.safe_load_all((ROOT / "examples/brain-tumour.yaml").read_text()))
JOB, SITE, POLICY = EXAMPLE[0], EXAMPLE[1], EXAMPLE[-1]
# PyYAML takes 2e-3, a number for kubectl and for YAML 1.2, for text.
JOB["spec"]["training"]["optimizer"]["lr"] = float(JOB["spec"]["training"]["optimizer"]["lr"])


@pytest.fixture(scope="module")
def apply(hub):
    from tests.cluster.conftest import run_kubectl

    run_kubectl(hub, "apply", "-f", str(ROOT / "operator/crds"))
    established = run_kubectl(hub, "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    assert established.returncode == 0, established.stderr

    def apply(document, namespace):
        document = copy.deepcopy(document)
        if document["kind"] != "FederatedSite":
            document["metadata"]["namespace"] = namespace
        return run_kubectl(hub, "apply", "-f", "-", manifest=json.dumps(document))

    return apply


def changed(document, path, value):
    """The document with one field set, or removed where the value is None."""
    document = copy.deepcopy(document)
    *parents, last = path.split(".")
    inner = document
    for key in parents:
        inner = inner[int(key)] if key.isdigit() else inner.setdefault(key, {})
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return document


def test_every_document_of_the_example_is_taken_and_kept_as_it_was_meant(apply, kubectl, namespace):
    for document in EXAMPLE:
        done = apply(document, namespace)
        assert done.returncode == 0, done.stderr
    stored = json.loads(kubectl("get", "fjob", "brain-tumour", "-n", namespace, "-o", "json").stdout)
    assert stored["spec"]["rounds"]["grace"] == "30s"
    assert stored["spec"]["backoffLimit"] == 3
    meant = FederatedJobSpec.model_validate(JOB["spec"])
    assert FederatedJobSpec.model_validate(stored["spec"]) == meant


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (changed(JOB, "metadata.name", "x" * 41), "40 characters at most"),
        (changed(JOB, "metadata.name", "1-tumour"), "a letter first"),
        (changed(JOB, "metadata.name", "brain.tumour"), "no dot"),
        (changed(JOB, "metadata.name", "gehirn-größe"), "RFC 1123"),
        (changed(JOB, "spec.image", "an image"), "spec.image"),
        (changed(JOB, "spec.model.bundle", {"configMap": "b"}), 'exactly one of "network" and "bundle"'),
        (changed(JOB, "spec.model.network", None), 'exactly one of "network" and "bundle"'),
        (changed(JOB, "spec.sites.selector", {"matchLabels": {"a": "b"}}), 'exactly one of "names" and "selector"'),
        (changed(JOB, "spec.sites.names", []), "should have at least 1 items"),
        (changed(JOB, "spec.sites.names", ["North"]), "spec.sites.names[0]"),
        (changed(JOB, "spec.rounds.count", 0), "should be greater than or equal to 1"),
        (changed(JOB, "spec.rounds.count", None), "spec.rounds.count: Required value"),
        (changed(JOB, "spec.rounds.quorum", "101%"), "spec.rounds.quorum"),
        (changed(JOB, "spec.rounds.quorum", 0), "spec.rounds.quorum"),
        (changed(JOB, "spec.rounds.deadline", "10"), "spec.rounds.deadline"),
        (changed(JOB, "spec.rounds.dedline", "10m"), 'unknown field "spec.rounds.dedline"'),
        (changed(JOB, "spec.aggregation", {"algorithm": "FedFoo"}), "Unsupported value"),
        (
            changed(JOB, "spec.aggregation", {"algorithm": "FedAvg", "trim": 0.2}),
            "trim goes with algorithm TrimmedMean",
        ),
        (changed(JOB, "spec.aggregation", {"algorithm": "NormClippedMean"}), "needs maxNorm"),
        (changed(JOB, "spec.tracking", {"mlflow": {"uri": "mlflow.example.org"}}), "spec.tracking.mlflow.uri"),
        (
            changed(JOB, "spec.tracking", {"mlflow": {"uri": "https://me:secret@mlflow.example.org"}}),
            "holds a user name or a password",
        ),
        (changed(JOB, "spec.backoffLimit", -1), "should be greater than or equal to 0"),
        (changed(JOB, "spec.suspend", "yes"), "must be of type boolean"),
        (changed(SITE, "metadata.name", "s" * 41), "40 characters at most"),
        (changed(POLICY, "spec.datasets", []), "should have at least 1 items"),
        (changed(POLICY, "spec.datasets", POLICY["spec"]["datasets"] * 2), "Duplicate value"),
        (changed(POLICY, "spec.datasets.0.volume", {}), 'exactly one of "hostPath" and "persistentVolumeClaim"'),
        (changed(POLICY, "spec.privacy.floor", [{"name": "shred"}]), "Unsupported value"),
        (changed(POLICY, "spec.datasets.0.format", "dicom"), "Unsupported value"),
        (changed(POLICY, "spec.images", ["a b"]), "spec.images[0]"),
        (changed(POLICY, "spec.gpus", {"count": 0}), "spec.gpus.count"),
        (changed(POLICY, "spec.gpus", {"migProfile": "half"}), "spec.gpus.migProfile"),
        (changed(POLICY, "spec.concurrency", 0), "spec.concurrency"),
        (changed(POLICY, "spec.schedule", {"windows": [{"begins": "25:00", "ends": "06:00"}]}), "begins"),
        (changed(POLICY, "spec.approval", "maybe"), "Unsupported value"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_field_and_the_rule(apply, namespace, document, message):
    done = apply(document, namespace)
    assert done.returncode != 0
    assert message in done.stderr


def test_kubectl_explains_a_field(apply, kubectl):
    assert "From the opening of a round to its closing" in kubectl("explain", "fjob.spec.rounds.deadline").stdout


def patched(kubectl, namespace, spec, *arguments):
    patch = json.dumps({"spec": spec})
    return kubectl("patch", "fjob", "brain-tumour", "-n", namespace, "--type=merge", "-p", patch, *arguments)


def test_a_job_may_be_corrected_until_its_plan_is_made_and_only_held_afterwards(apply, kubectl, namespace):
    assert apply(JOB, namespace).returncode == 0
    assert patched(kubectl, namespace, {"seed": 2}).returncode == 0
    status = json.dumps({"status": {"planDigest": "a" * 64}})
    made = kubectl(
        *("patch", "fjob", "brain-tumour", "-n", namespace, "--subresource=status", "--type=merge", "-p", status)
    )
    assert made.returncode == 0, made.stderr
    refused = patched(kubectl, namespace, {"seed": 3})
    assert "spec stays as it is once the job's plan is made, but for suspend" in refused.stderr
    assert "spec stays" in patched(kubectl, namespace, {"rounds": {"count": 9}}).stderr
    held = {"suspend": True, "activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": 60}
    assert patched(kubectl, namespace, held).returncode == 0


SITE_JOB = {
    "apiVersion": "fedward.io/v1alpha1",
    "kind": "SiteJob",
    "metadata": {"name": "brain-tumour-00000000"},
    "spec": {
        "job": {"namespace": "research", "name": "brain-tumour", "uid": "00000000-0000"},
        "site": "north",
        "federation": "example.org",
        "attempt": 2,
        "aggregator": {"address": "hub.example.org:443", "serverName": "brain-tumour.research.example.org"},
        "plan": "{}",
        "planDigest": "a" * 64,
        "dataset": "brats",
    },
}


def test_what_a_hospital_admitted_can_be_held_or_started_again_but_not_changed(apply, namespace):
    assert apply(SITE_JOB, namespace).returncode == 0
    for path, value in [("spec.plan", "{ }"), ("spec.image", "example.org/other:1"), ("spec.dataset", "other")]:
        assert "spec stays as it is" in apply(changed(SITE_JOB, path, value), namespace).stderr, path
    assert "never goes back" in apply(changed(SITE_JOB, "spec.attempt", 1), namespace).stderr
    again = changed(changed(SITE_JOB, "spec.attempt", 3), "spec.suspend", True)
    assert apply(again, namespace).returncode == 0


def test_columns_answer_whether_it_works_and_wide_ones_why_not(apply, kubectl, namespace):
    assert apply(JOB, namespace).returncode == 0
    header = kubectl("get", "fjob", "-n", namespace).stdout.splitlines()[0].split()
    assert header == ["NAME", "STATE", "ROUND", "SITES", "SCORE", "AGE"]
    wide = kubectl("get", "fjob", "-n", namespace, "-o", "wide").stdout.splitlines()[0].split()
    assert wide == [*header, "QUORUM", "DEGRADED", "ATTEMPT", "MESSAGE"]
