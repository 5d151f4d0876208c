"""What sees the scans is started behind its fence, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedward_operator.api.policy import SitePolicySpec
from fedward_operator.kube import kinds
from fedward_operator.kube.errors import ApiError
from fedward_operator.kube.settling import Settling
from fedward_operator.site import views
from fedward_operator.site.caches import SiteCaches
from fedward_operator.site.inspector import Inspector
from fedward_operator.site.reconciler import SiteReconciler
from fedward_operator.site.settings import SiteSettings
from fedward_protocol.plan import Data, JobIdentity, Model, Network, Plan, Rounds

SETTINGS = SiteSettings("north", "fed.example.org", "fedward", "example.org/trainer:1", "gateway:8443")
VOLUME = {"persistentVolumeClaim": {"claimName": "scans"}}
POLICY = {
    "metadata": {"namespace": "fedward", "name": "policy", "uid": "p", "generation": 1, "resourceVersion": "1"},
    "spec": {"datasets": [{"name": "brats", "volume": VOLUME}]},
}
PLAN = Plan(
    federation="fed.example.org",
    job=JobIdentity(name="brain", namespace="research", uid="0123456789"),
    sites=("north",),
    seed=0,
    model=Model(network=Network()),
    data=Data(dataset="brats"),
    rounds=Rounds(count=3, quorum=1, deadline_s=60, grace_s=1),
)
PART = {
    "metadata": {"namespace": "fedward", "name": "brain", "uid": "b", "generation": 1, "resourceVersion": "1"},
    "spec": {
        "job": {"namespace": "research", "name": "brain", "uid": "0123456789"},
        "site": "north",
        "federation": "fed.example.org",
        "attempt": 1,
        "aggregator": {"address": "hub:443", "serverName": "brain.research.fed.example.org"},
        "plan": PLAN.canonical().decode(),
        "planDigest": PLAN.digest().hex(),
        "dataset": "brats",
    },
}


class Cluster:
    """An API server that takes everything, or no NetworkPolicy."""

    def __init__(self, takes_fences):
        self.takes_fences, self.written = takes_fences, []

    async def apply(self, kind, manifest, **_):
        if kind is kinds.NETWORK_POLICY and not self.takes_fences:
            raise ApiError(403, "Forbidden", 'admission webhook "policies" denied the request')
        self.written.append((kind.name, manifest["metadata"]["name"]))
        metadata = {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
        return {**manifest, "metadata": metadata | manifest["metadata"]}


def now():
    return datetime(2026, 1, 1, tzinfo=UTC)


def caches():
    return SiteCaches(lambda _: None, lambda: None, lambda _: None, lambda: None)


@pytest.mark.parametrize("takes_fences", [True, False])
async def test_an_inspection_is_started_behind_its_fence(takes_fences):
    cluster = Cluster(takes_fences)
    policy, spec = views.view_policy(POLICY), SitePolicySpec.model_validate(POLICY["spec"])
    (said,), _ = await Inspector(cluster, caches(), SETTINGS, now).inspect(policy, spec)
    if takes_fences:
        assert [kind for kind, _ in cluster.written] == ["NetworkPolicy", "Job"]
    else:
        assert cluster.written == []
        assert said.reason == "AdmissionRefused"


@pytest.mark.parametrize("takes_fences", [True, False])
async def test_a_trainer_is_started_behind_its_fence(takes_fences):
    cluster, known = Cluster(takes_fences), caches()
    known.policies.put(POLICY)
    known.mirrored.put(PART)
    key = Ed25519PrivateKey.generate()
    await SiteReconciler(cluster, known, key, SETTINGS, now, Settling(lambda: False)).reconcile("brain")
    kinds_written = [kind for kind, _ in cluster.written if kind in ("NetworkPolicy", "Job")]
    assert kinds_written == (["NetworkPolicy", "Job"] if takes_fences else [])
