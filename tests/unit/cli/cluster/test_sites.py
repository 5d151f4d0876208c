"""`fedward sites`: what is shown of the federation to an administrator, and to a researcher who may see less."""

from __future__ import annotations

import base64

import pytest
from rich.console import Console
from tests.unit.cli.jobs import NOW, UNKNOWN, Kubectl, ago, condition, forbidden, job, site

from fedward_cli.cluster.kubectl import ClusterError, ForbiddenError
from fedward_cli.cluster.sites import look


def federated_site(name, reason="Heard", **status):
    said = [condition("Connected", str(reason == "Heard"), reason)]
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": said, **status}}


def request(name, *conditions, certificate=None):
    user = f"system:serviceaccount:fedward-site-{name}:fedward-site"
    status = {"conditions": [{"type": each} for each in conditions]}
    status |= {"certificate": base64.b64encode(certificate).decode()} if certificate else {}
    return {"metadata": {"name": f"fedward-site-{name}"}, "spec": {"username": user}, "status": status}


SITES = [
    federated_site("south", "HeartbeatMissed", lastSeen=ago(hours=2)),
    federated_site("north", version="0.1.0", gpus=2, datasets=["brats", "hidden"], cases={"brats": 115}),
    federated_site("west", "NeverHeard"),
]


def shown(found):
    console = Console(width=200)
    with console.capture() as captured:
        for each in found.text(NOW):
            console.print(each)
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def test_each_site_is_shown_with_what_it_offers_and_works_on():
    trains = job(sites=[site("north", "Training"), site("south", "Offline")])
    found = look(run=Kubectl(federatedsites=SITES, federatedjobs=[trains]))
    assert shown(found) == [
        "site connected last seen version gpus datasets jobs",
        "north yes now 0.1.0 2 brats (115), hidden research/brain",
        "south no: HeartbeatMissed 2 hours ago 0",
        "west no: NeverHeard never 0",
    ]
    assert found.unseen == ()


def test_a_certificate_is_shown_until_it_expires_or_as_the_request_for_one_stands():
    good = federated_site("north", certificateExpires="2026-03-31T12:00:00Z")
    requests = [request("south"), request("west", "Denied"), request("north", "Approved", certificate=b"PEM")]
    run = Kubectl(federatedsites=[good, SITES[0], SITES[2]], certificatesigningrequests=requests)
    found = look(run=run)
    assert [each.certificate for each in found.sites] == ["until 2026-03-31", "waits for approval", "denied"]
    assert shown(found)[0].endswith("certificate")


def test_a_revoked_site_has_no_request_that_counts():
    revoked = federated_site("south", "Revoked", certificateExpires="2026-03-31T12:00:00Z")
    revoked["spec"] = {"revoked": True}
    found = look(run=Kubectl(federatedsites=[revoked], certificatesigningrequests=[request("south", "Approved")]))
    assert (found.sites[0].certificate, found.sites[0].reason) == ("", "Revoked")


class Researcher(Kubectl):
    """May list her namespace's jobs, and sites."""

    def __call__(self, arguments, given=None):
        if "--all-namespaces" in arguments:
            raise forbidden("list", "federatedjobs", "")
        return super().__call__(arguments, given)


def test_a_researcher_sees_her_own_jobs_and_is_told_what_she_does_not():
    hidden = forbidden("list", "certificatesigningrequests", "", "certificates.k8s.io")
    run = Researcher(federatedsites=SITES, federatedjobs=[job()], certificatesigningrequests=hidden)
    found = look("research", run)
    assert found.sites[0].jobs == ("research/brain",)
    assert [each.partition(",")[0] for each in found.unseen] == [
        "jobs of other namespaces",
        "requests for certificates",
    ]
    assert ["--namespace", "research"] in [asked[-2:] for asked in run.asked]


def test_without_the_right_to_see_sites_that_is_said():
    with pytest.raises(ForbiddenError, match="the right to list federatedsites in the whole cluster"):
        look(run=Kubectl(federatedsites=forbidden("list", "federatedsites", "")))


def test_a_hospitals_cluster_is_no_hub():
    with pytest.raises(ClusterError, match="knows no FederatedSites, so it is no hub"):
        look(run=Kubectl(federatedsites=UNKNOWN))


def test_a_federation_of_nobody_says_how_to_begin():
    assert shown(look(run=Kubectl())) == ["nobody is invited yet: fedward invite SITE > SITE.yaml"]
