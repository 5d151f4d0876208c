"""Spec goes down, status goes up, and what belongs to another SiteJob of the name goes nowhere."""

from __future__ import annotations

import pytest

from fedward_operator.kube.cache import Cache
from fedward_operator.mirror import Mirror
from fedward_operator.policy import naming
from fedward_operator.site.views import view_asked, view_mirrored

SPEC = {"attempt": 1}


class Remembering:
    """A client that only writes down what is asked of it."""

    def __init__(self):
        self.done = []

    async def apply(self, kind, manifest, *, subresource=""):
        self.done.append((subresource or "spec", manifest))
        given = {"uid": "here", "generation": 1, "resourceVersion": "9"}
        return {**manifest, "metadata": {**manifest["metadata"], **given}}

    async def delete(self, kind, namespace, name, uid):
        self.done.append(("delete", uid))


def at_hub(uid="hub-1", generation=3, **changes):
    metadata = {"namespace": "mailbox", "name": "j", "uid": uid, "generation": generation, "resourceVersion": "1"}
    return {"metadata": metadata, "spec": SPEC, **changes}


def here(hub_uid="hub-1", hub_generation=3, spec=SPEC, **status):
    notes = {naming.HUB_UID: hub_uid, naming.HUB_GENERATION: str(hub_generation)}
    metadata = {
        "namespace": "site",
        "name": "j",
        "uid": "here",
        "generation": 7,
        "resourceVersion": "1",
        "annotations": notes,
    }
    return {"metadata": metadata, "spec": spec, "status": status}


@pytest.fixture
def sides():
    hub, site = Remembering(), Remembering()
    asked, mirrored = Cache(view_asked, lambda *_: None), Cache(view_mirrored, lambda *_: None)
    return Mirror(hub, site, asked, mirrored, "mailbox", "site", lambda _: None), hub, site, asked, mirrored


async def test_what_is_asked_is_written_down_here_with_whom_it_is_from(sides):
    mirror, hub, site, asked, _ = sides
    asked.put(at_hub())
    await mirror.reconcile("j")
    ((what, manifest),) = site.done
    assert (what, manifest["spec"], manifest["metadata"]["annotations"]) == (
        "spec",
        SPEC,
        {naming.HUB_UID: "hub-1", naming.HUB_GENERATION: "3"},
    )
    assert not hub.done


async def test_an_answer_goes_up_in_the_hubs_generation(sides):
    mirror, hub, site, asked, mirrored = sides
    asked.put(at_hub())
    mirrored.put(
        here(state="Training", observedGeneration=7, conditions=[{"type": "Running", "observedGeneration": 7}])
    )
    await mirror.reconcile("j")
    ((what, manifest),) = hub.done
    assert what == "status"
    assert manifest["metadata"]["uid"] == "hub-1"
    assert manifest["status"]["observedGeneration"] == 3
    assert manifest["status"]["conditions"][0]["observedGeneration"] == 3
    assert not site.done


async def test_an_answer_to_what_is_not_asked_any_more_stays_here(sides):
    mirror, hub, site, asked, mirrored = sides
    asked.put(at_hub())
    mirrored.put(here(state="Training", observedGeneration=6))
    await mirror.reconcile("j")
    assert not hub.done
    assert not site.done


async def test_an_answer_that_is_known_is_not_given_again(sides):
    mirror, hub, _, asked, mirrored = sides
    asked.put(at_hub(status={"state": "Training", "observedGeneration": 3}))
    mirrored.put(here(state="Training", observedGeneration=7))
    await mirror.reconcile("j")
    assert not hub.done


@pytest.mark.parametrize("change", ["gone", "going", "another"])
async def test_what_the_hub_took_back_is_over_here(sides, change):
    mirror, _, site, asked, mirrored = sides
    mirrored.put(here())
    if change == "going":
        item = at_hub()
        item["metadata"]["deletionTimestamp"] = "2026-03-04T12:00:00Z"
        asked.put(item)
    if change == "another":
        asked.put(at_hub(uid="hub-2"))
    await mirror.reconcile("j")
    assert site.done == [("delete", "here")]


async def test_what_was_edited_here_is_put_right_but_not_again_and_again(sides):
    """A cluster whose CRD is older drops a field each time: writing it once is enough."""
    mirror, _, site, asked, mirrored = sides
    asked.put(at_hub())
    edited = here(spec={"attempt": 9})
    edited["metadata"]["generation"] = 1
    mirrored.put(edited)
    await mirror.reconcile("j")
    await mirror.reconcile("j")
    assert [what for what, _ in site.done] == ["spec"]
