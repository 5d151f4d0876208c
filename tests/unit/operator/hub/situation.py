"""A job's situation in a few words, and its life: one observation after another, each with the status before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.hub.decide import Observed, decide
from fedward_operator.hub.notes import notes
from fedward_operator.hub.progress import Progress, SiteProgress
from fedward_operator.hub.status import status_of
from fedward_operator.hub.views import PartView
from fedward_operator.policy.pods import JobView, view_pod

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
UID = "5f6e7d8c-0000-4000-8000-000000000000"
KEY = ("research", "glioma")
SITES = ("east", "north", "south")
DIGEST = "d" * 64


def spec(**more):
    document = {
        "model": {"network": {"name": "SegResNet"}},
        "data": {"dataset": "brats"},
        "sites": {"names": list(SITES)},
        "rounds": {"count": 5, "quorum": 2},
        **more,
    }
    return FederatedJobSpec.model_validate(document)


def part(site, attempt=1, answered=None, state="Pending", reason="", message="", suspend=False):
    return PartView(
        namespace=f"fedward-site-{site}",
        name="glioma-2795c132",
        uid=f"uid of {site}'s",
        site=site,
        family=KEY,
        job_uid=UID,
        attempt=attempt,
        suspend=suspend,
        address="hub.example:443",
        deleting=False,
        answered=attempt if answered is None else answered,
        state=state,
        reason=reason,
        message=message,
    )


def parts(*others, attempt=1, state="Training"):
    found = {site: part(site, attempt, state=state) for site in SITES}
    return found | {each.site: each for each in others}


def aggregator(attempt=1, complete=False, failed=None):
    return JobView(
        namespace="research",
        name=f"glioma-aggregator-{attempt}",
        uid=f"uid of attempt {attempt}",
        owner=UID,
        family=KEY,
        attempt=attempt,
        complete=complete,
        failed=failed,
        deleting=False,
        order="",
    )


def pod(phase="Running", attempt=1, **status):
    labels = {"fedward.io/job-uid": UID, "fedward.io/attempt": str(attempt)}
    metadata = {"name": f"glioma-aggregator-{attempt}-x7k2p", "uid": "p", "labels": labels}
    return view_pod({"metadata": metadata, "status": {"phase": phase, **status}})


def progress(state="Training", round_=2, attempt=1, failure=None, metrics=None, **states):
    sites = {
        name: SiteProgress(states.get(name, "Training"), round_, "", 70, {"dice": 0.8} if metrics else {})
        for name in SITES
    }
    return Progress(state, round_, attempt, True, sites, metrics or {}, failure)


def connected(*without):
    return {site: site not in without for site in SITES}


def observed(status=None, now=NOON, **more):
    facts = {
        "spec": spec(),
        "generation": 1,
        "deleting": False,
        "status": status or {},
        "sites": SITES,
        "connected": connected(),
        "now": now,
        "parts": {},
        **more,
    }
    return Observed(**facts)


def said(status, kind):
    """A condition in short: its status and its reason."""
    condition = next(each for each in status["conditions"] if each["type"] == kind)
    return condition["status"], condition["reason"]


def states(status):
    return {site["name"]: site["state"] for site in status["sites"]}


class Life:
    """A job from its creation on, as the reconciler keeps it: what was said is what is seen next."""

    def __init__(self):
        self.now, self.status, self.told = NOON, {}, []

    def after(self, seconds=0, **facts):
        """Look at it again some time later."""
        self.now += timedelta(seconds=seconds)
        self.seen = observed(self.status, self.now, **facts)
        self.decision = decide(self.seen)
        digest = None if self.seen.sites is None else DIGEST
        status = status_of(self.seen, self.decision, digest)
        self.told += [(note.type, note.reason) for note in notes(self.status, status)]
        self.status = status
        return self

    def started(self):
        """It trains its second round at every site."""
        self.after(sites=None, unplanned=None)
        self.after(aggregator=aggregator(), parts=parts())
        return self.after(60, aggregator=aggregator(), pods=[pod()], parts=parts(), progress=progress())

    def said(self, kind):
        return said(self.status, kind)
