"""Which trackers are made and taken away: never two of a job at a time, and whatever happens, the job goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from situation import UID, spec

from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.caches import HubCaches
from fedward_operator.hub.decide import Decision, Stage
from fedward_operator.hub.owned import Owner
from fedward_operator.hub.settings import HubSettings
from fedward_operator.hub.tracking.keeping import TrackerKeeper
from fedward_operator.kube.errors import ApiError, UnavailableError
from fedward_operator.policy.problem import Problem
from fedward_protocol.pki import Authority

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWNER = Owner("research", "glioma", UID, {})
WANTED = spec(tracking={"mlflow": {"uri": "https://mlflow.example.org"}})
RUNNING = Decision(Stage.RUNNING, 2, None)
COMPLETED = Decision(Stage.COMPLETED, 2, Problem("Completed", "every round is trained"))
ENDED = {"status": {"completionTime": "2026-03-01T11:59:00Z"}}


class Client:
    """An API server that takes everything, or answers with an error."""

    def __init__(self):
        self.applied, self.deleted, self.error = [], [], None

    async def apply(self, kind, manifest, *, force):
        if self.error is not None:
            raise self.error
        self.applied.append((kind.name, manifest["metadata"]["name"]))

    async def delete(self, kind, namespace, name, uid, *, last=False):
        if self.error is not None:
            raise self.error
        self.deleted.append((namespace, name, last))


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def caches():
    made = HubCaches(lambda _: None, lambda _: None, lambda _: None, lambda: NOW)
    made.claims.put(item("glioma-aggregator"))
    return made


def keeper(client, caches, image="tracker:1"):
    settings = HubSettings("fed.example", "hub.example:443", "aggregator:1", "trainer:1", tracker_image=image)
    authority = HubAuthority(Authority.create("fed.example", NOW), "fed.example")
    return TrackerKeeper(client, caches, authority, settings, lambda: NOW)


def item(name, namespace="research", uid=UID, attempt=2, **more):
    labels = {
        "fedward.io/job": "glioma",
        "fedward.io/job-namespace": "research",
        "fedward.io/job-uid": uid,
        "fedward.io/attempt": str(attempt),
    }
    metadata = {"name": name, "namespace": namespace, "uid": name, "resourceVersion": "1", "labels": labels}
    return {"metadata": metadata | more.pop("metadata", {}), "spec": {}, **more}


async def test_a_running_attempt_is_followed_behind_its_fence_and_with_its_certificate(client, caches):
    assert await keeper(client, caches).make_it_so(OWNER, {"status": {}}, WANTED, RUNNING) is None
    assert client.applied == [
        ("NetworkPolicy", "glioma-tracker"),
        ("Secret", "glioma-tracker-tls"),
        ("Job", "glioma-tracker-2"),
    ]


async def test_the_one_before_goes_first_and_nothing_is_made_until_it_is_gone(client, caches):
    caches.trackers.put(item("glioma-tracker-1", attempt=1))
    await keeper(client, caches).make_it_so(OWNER, {"status": {}}, WANTED, RUNNING)
    assert client.deleted == [("research", "glioma-tracker-1", True)], "its Job is there until its pod is gone"
    assert client.applied == []

    caches.trackers.put(
        item(
            "glioma-tracker-1",
            attempt=1,
            metadata={"resourceVersion": "2", "deletionTimestamp": "2026-03-01T12:00:00Z"},
        )
    )
    await keeper(client, caches).make_it_so(OWNER, {"status": {}}, WANTED, RUNNING)
    assert (len(client.deleted), client.applied) == (1, [])

    caches.trackers.drop(("research", "glioma-tracker-1"))
    await keeper(client, caches).make_it_so(OWNER, {"status": {}}, WANTED, RUNNING)
    assert ("Job", "glioma-tracker-2") in client.applied


async def test_a_job_of_another_namespace_that_says_it_is_a_tracker_is_none(client, caches):
    caches.trackers.put(item("glioma-tracker-2", namespace="elsewhere"))
    caches.trackers.put(item("glioma-tracker-9", namespace="elsewhere", uid="other"))
    await keeper(client, caches).make_it_so(OWNER, {"status": {}}, WANTED, RUNNING)
    assert client.deleted == []
    assert ("Job", "glioma-tracker-2") in client.applied


@pytest.mark.parametrize(
    "error",
    [
        ApiError(403, "Forbidden", "exceeded quota: jobs"),
        ApiError(409, "Conflict", "Apply failed with 1 conflict"),
        ApiError(500, "InternalError", "failed calling webhook"),
        UnavailableError("timed out"),
    ],
)
@pytest.mark.parametrize("is_there", [False, True])
async def test_whatever_goes_wrong_is_a_problem_that_is_told(client, caches, error, is_there):
    if is_there:
        caches.trackers.put(item("glioma-tracker-1", attempt=1))
    client.error = error
    found = await keeper(client, caches).make_it_so(OWNER, {"status": {}}, WANTED, RUNNING)
    assert found is not None
    assert (found.reason == "QuotaExceeded") is ("quota" in str(error))


async def test_after_the_end_another_waits_for_the_volume(client, caches):
    made = keeper(client, caches)
    caches.pods.put(item("glioma-aggregator-2-x", status={"phase": "Running"}))
    await made.make_it_so(OWNER, ENDED, WANTED, COMPLETED)
    assert client.applied == []

    caches.pods.put(item("glioma-aggregator-2-x", status={"phase": "Succeeded"}, metadata={"resourceVersion": "2"}))
    await made.make_it_so(OWNER, ENDED, WANTED, COMPLETED)
    assert client.applied[-1] == ("Job", "glioma-tracker-end")

    caches.trackers.put(item("glioma-tracker-end"))
    await made.make_it_so(OWNER, ENDED, WANTED, COMPLETED)
    assert client.applied.count(("Job", "glioma-tracker-end")) == 1


@pytest.mark.parametrize(
    ("reason", "hours", "is_made"),
    [
        ("Following", 1, True),
        ("NotLogged", 48, True),
        ("Logged", 1, False),
        ("HubDoesNotTrack", 1, True),
        ("HubDoesNotTrack", 48, False),
    ],
)
async def test_what_is_logged_is_not_again_and_what_is_long_over_not_at_all(client, caches, reason, hours, is_made):
    condition = {"type": "Tracked", "status": "False", "reason": reason, "message": ""}
    ended = (NOW - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    job = {"status": {"completionTime": ended, "conditions": [condition]}}
    await keeper(client, caches).make_it_so(OWNER, job, WANTED, COMPLETED)
    assert (("Job", "glioma-tracker-end") in client.applied) is is_made


@pytest.mark.parametrize(
    ("image", "wanted", "decision"),
    [
        ("", WANTED, RUNNING),
        ("tracker:1", spec(), RUNNING),
        ("tracker:1", WANTED, Decision(Stage.SUSPENDED, 2, None)),
        ("tracker:1", WANTED, Decision(Stage.WAITING, 0, None)),
    ],
    ids=["no trackers here", "not wanted", "suspended", "waiting"],
)
async def test_where_nothing_is_to_be_logged_what_is_there_goes(client, caches, image, wanted, decision):
    caches.trackers.put(item("glioma-tracker-2"))
    await keeper(client, caches, image).make_it_so(OWNER, {"status": {}}, wanted, decision)
    assert client.deleted == [("research", "glioma-tracker-2", True)]
    assert client.applied == []


async def test_a_job_that_left_no_volume_has_none(client, caches):
    caches.claims.drop(("research", "glioma-aggregator"))
    await keeper(client, caches).make_it_so(OWNER, ENDED, WANTED, COMPLETED)
    assert client.applied == []
