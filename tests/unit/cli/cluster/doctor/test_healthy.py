"""What `fedward doctor` says of what works, and how it finds out what is installed."""

from __future__ import annotations

import pytest
from tests.unit.cli.cluster.doctor.looked_at import (
    NAMESPACE,
    NOW,
    Kubectl,
    found,
)

from fedward_cli.cluster.doctor import examine
from fedward_cli.cluster.kubectl import ClusterError
from fedward_operator.checks.finding import Level


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
