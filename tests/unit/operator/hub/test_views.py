"""What the hub keeps of the objects that it watches; some of them are written by hospitals."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from situation import KEY, NOON, UID

from fedward_operator.hub.sites import site_status
from fedward_operator.hub.views import (
    Heartbeat,
    SiteView,
    view_child,
    view_federated_job,
    view_heartbeat,
    view_part,
    view_secret,
    view_service,
    view_site,
)
from fedward_operator.policy.joining.signing import Invited

LABELS = {"fedward.io/job": "glioma", "fedward.io/job-namespace": "research", "fedward.io/job-uid": UID}
INVITED = Invited("automatic", revoked=False)
SITE = SiteView("north", "uid of north", 1, {}, {}, INVITED)


def child(**more):
    return {"metadata": {"name": "glioma-aggregator", "uid": "c1", "labels": LABELS}, **more}


def lease(offer):
    annotations = None if offer is None else {"fedward.io/offer": offer}
    return {"metadata": {"name": "fedward-site", "annotations": annotations}}


def test_of_a_job_everything_is_kept_but_what_is_only_long():
    metadata = {"namespace": "research", "name": "glioma", "uid": UID, "finalizers": ["a"], "generation": 3}
    item = {
        "metadata": {**metadata, "managedFields": [{"manager": "kubectl"}], "annotations": {"a": "b" * 1000}},
        "spec": {"suspend": True},
        "status": {"attempt": 2},
    }

    view = view_federated_job(item)

    assert (view.key, view.uid) == (KEY, UID)
    assert view.read() == {"metadata": metadata, "spec": {"suspend": True}, "status": {"attempt": 2}}


def test_a_job_that_was_just_created_has_an_empty_status():
    item = {"metadata": {"namespace": "research", "name": "glioma", "uid": UID}}

    assert view_federated_job(item).read()["status"] == {}
    assert view_federated_job({**item, "status": None}).read()["status"] == {}


def test_a_site_is_known_by_its_labels():
    found = view_site({"metadata": {"name": "north", "uid": "n", "generation": 2, "labels": {"size": "small"}}})

    assert found == SiteView("north", "n", 2, {"size": "small"}, {}, INVITED)
    assert view_site({"metadata": {"name": "north", "uid": "n", "labels": None}, "status": None}).labels == {}


def test_a_heartbeat_says_what_the_site_offers():
    offer = json.dumps({"version": "0.1.0", "gpus": 4, "datasets": ["kits", "brats"]})

    assert view_heartbeat(lease(offer), NOON) == Heartbeat(NOON, "0.1.0", 4, ("brats", "kits"))


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("2026-04-01T12:00:00Z", "2026-04-01T12:00:00Z"),
        ("soon", None),
        ("2026-99-01T12:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        (5, None),
        (None, None),
    ],
)
def test_a_heartbeat_says_when_the_sites_certificate_expires(said, known):
    offer = {"version": "1", "gpus": 0, "datasets": [], "certificateExpires": said}

    assert site_status(SITE, view_heartbeat(lease(json.dumps(offer)), NOON), NOON).get("certificateExpires") == known


@pytest.mark.parametrize(
    ("cases", "known"),
    [
        ({}, {}),
        ({"brats": 120}, {"brats": 120}),
        ({"brats": 120, "secret": 7}, {"brats": 120}),
        ({"brats": -3, "kits": 10**9}, {"brats": 0, "kits": 10_000_000}),
        (None, {}),
    ],
)
def test_a_heartbeat_says_how_many_cases_there_are_in_what_it_offers(cases, known):
    offer = {"version": "1", "gpus": 0, "datasets": ["brats", "kits"], "cases": cases}

    beat = view_heartbeat(lease(json.dumps(offer)), NOON)

    assert beat.cases == known
    assert site_status(SITE, beat, NOON).get("cases") == (known or None)


@pytest.mark.parametrize(
    "offer",
    [
        None,
        "",
        "{",
        "[]",
        "5",
        "null",
        '{"version": "1"}',
        '{"version": "1", "gpus": "many", "datasets": []}',
        '{"version": "1", "gpus": null, "datasets": []}',
        '{"version": "1", "gpus": 1, "datasets": 5}',
        '{"version": "1", "gpus": NaN, "datasets": []}',
        '{"version": "1", "gpus": 1, "datasets": ["brats"], "cases": {"brats": "many"}}',
        '{"version": "1", "gpus": 1, "datasets": ["brats"], "cases": ["brats"]}',
        pytest.param(
            '{"version": "1", "gpus": 1e999, "datasets": []}',
        ),
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_heartbeat_that_says_nothing_legible_is_a_heartbeat(offer):
    assert view_heartbeat(lease(offer), NOON) == Heartbeat(NOON, "", 0, ())


def test_an_offer_that_is_too_large_is_cut():
    offer = {"version": "v" * 1000, "gpus": 10**6, "datasets": [f"d{n:04}" for n in range(1000)] + ["d" * 64]}

    found = view_heartbeat(lease(json.dumps(offer)), NOON)

    assert (len(found.version), found.gpus, len(found.datasets)) == (64, 1024, 64)
    assert "d" * 64 not in found.datasets  # no dataset can be called so
    assert view_heartbeat(lease(json.dumps(offer | {"gpus": -5})), NOON).gpus == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
OFFERS = st.fixed_dictionaries(
    {}, optional={"version": JSON, "gpus": JSON, "datasets": JSON | st.lists(JSON), "cases": JSON}
)


@given(st.one_of(st.text(), OFFERS.map(json.dumps)))
def test_whatever_a_site_writes_it_was_heard(offer):
    assert view_heartbeat(lease(offer), NOON).heard == NOON


@pytest.mark.parametrize(
    "offer",
    [
        {"version": "0.1.0", "gpus": 4, "datasets": ["brats"]},
        pytest.param(
            {"version": "1", "gpus": 1, "datasets": ["BraTS 2021"]},
        ),
        pytest.param(
            {"version": "\ud800", "gpus": 1, "datasets": []},
        ),
    ],
)
def test_whatever_a_site_offers_its_status_can_be_written(offer):
    beat = view_heartbeat(lease(json.dumps(offer)), NOON)

    status = site_status(SITE, beat, NOON)
    assert status["gpus"] == offer["gpus"]


@pytest.mark.parametrize(
    ("beat", "seconds", "connected", "last_seen"),
    [
        pytest.param(None, 0, ("False", "NeverHeard"), None, id="never heard"),
        pytest.param(Heartbeat(NOON, "1", 2, ("brats",)), 0, ("True", "Heard"), None, id="just heard"),
        pytest.param(Heartbeat(NOON, "1", 2, ("brats",)), 15, ("True", "Heard"), None, id="heard not long ago"),
        pytest.param(
            Heartbeat(NOON, "1", 2, ("brats",)),
            *(16, ("False", "HeartbeatMissed"), "2026-03-01T12:00:00Z"),
            id="not heard any more",
        ),
    ],
)
def test_a_sites_status_says_whether_it_is_heard(beat, seconds, connected, last_seen):
    status = site_status(SITE, beat, NOON + timedelta(seconds=seconds))

    (condition,) = status["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Connected", *connected)
    assert status.get("lastSeen") == last_seen
    assert status["datasets"] == (["brats"] if beat else [])


def site_job(**more):
    metadata = {"namespace": "fedward-site-north", "name": "glioma-2795c132", "uid": "s1", "labels": LABELS}
    spec = {"job": {"uid": UID}, "site": "north", "attempt": 2, "aggregator": {"address": "hub.example:443"}}
    return {"metadata": metadata, "spec": spec, **more}


def test_a_part_is_what_was_asked_and_what_was_answered():
    conditions = [{"type": "Running", "status": "False", "reason": "DatasetUnknown"}]
    status = {"attempt": 1, "state": "Refused", "message": "no brats here", "conditions": conditions}

    found = view_part(site_job(status=status))

    assert (found.site, found.family, found.job_uid) == ("north", KEY, UID)
    assert (found.attempt, found.suspend, found.address, found.deleting) == (2, False, "hub.example:443", False)
    assert (found.answered, found.state, found.reason) == (1, "Refused", "DatasetUnknown")
    assert found.message == "no brats here"


@pytest.mark.parametrize("status", [{}, {"status": None}, {"status": {}}, {"status": {"conditions": None}}])
def test_a_part_that_nobody_answered_is_pending(status):
    found = view_part(site_job(**status))

    assert (found.answered, found.state, found.reason, found.message) == (0, "Pending", "", "")


def test_a_child_is_known_by_whose_it_is():
    found = view_child(child())

    assert (found.uid, found.family, found.job_uid, found.deleting) == ("c1", KEY, UID, False)
    going = child()
    going["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert view_child(going).deleting
    assert view_child({"metadata": {"uid": "x"}}).family == ("", "")


def test_of_a_certificate_it_is_known_when_to_renew_it_and_whose_it_is_and_nothing_else():
    secret = child(data={"tls.key": "c2VjcmV0"})
    assert view_secret(secret).held == {
        "fedward.io/renew-after": "",
        "fedward.io/authority": "",
        "fedward.io/scrapers": "",
    }

    notes = {
        "fedward.io/scrapers": "5e7f",
        "fedward.io/renew-after": "2026-05-01T00:00:00Z",
        "fedward.io/authority": "0c1d",
    }
    secret["metadata"]["annotations"] = {**notes, "another": "note"}
    assert view_secret(secret).held == notes


def test_of_a_service_it_is_known_where_it_leads():
    spec = {"selector": {"a": "b"}, "ports": [{"port": 8443, "targetPort": 8443, "nodePort": 30000}]}

    assert view_service(child(spec=spec)).held == {"selector": {"a": "b"}, "ports": [(8443, 8443)]}
    assert view_service(child(spec={})).held == {"selector": None, "ports": []}


def test_a_revoked_site_is_not_connected_however_much_it_is_heard() -> None:
    site = dataclasses.replace(SITE, invited=Invited("automatic", revoked=True))
    (connected,) = site_status(site, Heartbeat(NOON, "1", 0, ()), NOON)["conditions"]
    assert (connected["status"], connected["reason"]) == ("False", "Revoked")
