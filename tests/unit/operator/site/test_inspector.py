"""What an inspector asks of the API server."""

from __future__ import annotations

from datetime import UTC, datetime

from fedward_operator.api.policy import SitePolicySpec
from fedward_operator.kube import kinds
from fedward_operator.site import views
from fedward_operator.site.caches import SiteCaches
from fedward_operator.site.inspector import Inspector
from fedward_operator.site.settings import SiteSettings

SETTINGS = SiteSettings("north", "fed.example.org", "fedward", "example.org/trainer:1", "gateway:8443")
POLICY = {
    "metadata": {"namespace": "fedward", "name": "policy", "uid": "p", "generation": 1, "resourceVersion": "1"},
    "spec": {"datasets": [{"name": "kits", "volume": {"hostPath": {"path": "/scans"}}}]},
}


def inspection(uid, version):
    """The Job of an inspection that nobody wants any more."""
    metadata = {
        "namespace": "fedward",
        "name": "preflight-brats",
        "uid": uid,
        "resourceVersion": version,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"fedward.io/basis": "b", "fedward.io/dataset": "brats"},
    }
    return {"metadata": metadata, "spec": {}, "status": {}}


class Cluster:
    """An API server that notes what it was told to delete, and takes its time."""

    def __init__(self):
        self.deleted = []

    async def delete(self, kind, namespace, name, uid):
        assert kind is kinds.JOB
        self.deleted.append(uid)


async def test_an_inspection_is_deleted_once_however_long_its_end_takes_to_be_heard():
    cluster = Cluster()
    known = SiteCaches(lambda _: None, lambda: None, lambda _: None, lambda: None)
    inspector = Inspector(cluster, known, SETTINGS, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    policy, spec = views.view_policy(POLICY), SitePolicySpec.model_validate(POLICY["spec"])

    for uid in ("first", "second"):
        known.preflights.put(inspection(uid, "1" if uid == "first" else "2"))
        await inspector.inspect(policy, spec)
        await inspector.inspect(policy, spec)

    assert cluster.deleted == ["first", "second"]
