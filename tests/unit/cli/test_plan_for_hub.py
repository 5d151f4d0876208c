"""`fedward plan` of a file that goes to a hub: valid, shown as far as it is known, and what only the hub knows."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from fedward_cli.documents import Documents, ForHub, load_documents, load_plannable
from fedward_cli.plan_for_hub import document, text, unknown
from fedward_cli.problems import InputError

CONFIG_MAP = """\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: weights}
data: {train.json: "{}"}
"""


@pytest.fixture
def job(good):
    """The FederatedJob alone, as it is applied to a cluster."""
    return good.split("---")[0]


def said(found):
    console = Console(width=200)
    with console.capture() as captured:
        for each in text(found):
            console.print(each)
    return captured.get()


def test_the_job_alone_is_taken_for_one_that_goes_to_a_hub(job, write):
    found = load_plannable(write(job))
    assert isinstance(found, ForHub)
    plan = found.plan()
    assert (plan.sites, plan.rounds.quorum) == (("north", "south"), 1)
    assert list(document(found)["plan"]["sites"]) == ["north", "south"]
    assert "federation" not in document(found)["plan"]
    assert "uid" not in document(found)["plan"]["job"]


def test_what_only_the_hub_and_the_hospitals_know_is_said(job, write):
    shown = said(load_plannable(write(job)))
    for part in ("The job is valid", "whether north, south are in the federation", "the floor that each hospital adds"):
        assert part in shown
    assert "kubectl apply --dry-run=server" in shown


def test_a_jobs_labels_leave_its_sites_and_quorum_to_the_hub(job, write):
    labels = job.replace("names: [north, south]", "selector: {matchLabels: {board: glioma}}")
    found = load_plannable(write(labels))
    assert (found.plan(), document(found)["plan"]) == (None, None)
    assert document(found)["spec"]["rounds"]["quorum"] == "50%"
    assert "who has the labels" in unknown(found)["sites"]
    assert "with 50% of them" in said(found)
    assert "board=glioma" in said(found)


def test_a_bundle_may_be_in_the_file_or_at_the_hub(job, write):
    bundled = job.replace("network: {name: UNet}", "bundle: {configMap: weights}")
    absent = load_plannable(write(bundled))
    assert unknown(absent)["model.bundle"] == "the files of the ConfigMap weights in research"
    assert "ConfigMap weights" in said(absent)

    here = load_plannable(write(bundled + CONFIG_MAP))
    assert "model.bundle" not in unknown(here)
    assert document(here)["plan"]["model"]["bundle"] is not None


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("quorum: 50%", "quorum: 3", "asks for 3 sites, and there are 2"),
        ("count: 3", "cuont: 3", 'did you mean "count"'),
    ],
)
def test_what_is_wrong_is_said_as_it_is_for_a_local_run(job, write, old, new, complaint):
    with pytest.raises(InputError, match=complaint):
        load_plannable(write(job.replace(old, new)))


def test_a_file_without_a_job_is_refused(good, write):
    sites_alone = good.partition("---")[2].partition("---")[0]
    with pytest.raises(InputError, match="holds no FederatedJob"):
        load_plannable(write(sites_alone))


def test_a_file_with_a_policy_is_a_local_runs_and_lacks_what_a_local_run_needs(good, write):
    assert isinstance(load_plannable(write(good)), Documents)
    without = good.rpartition("---")[0]
    with pytest.raises(InputError, match='no SitePolicy called "south"'):
        load_plannable(write(without))


def test_a_local_run_of_the_job_alone_is_refused(job, write):
    with pytest.raises(InputError, match="FederatedSite"):
        load_documents(write(job))


def test_both_formats_hold_the_same(job, write):
    import yaml

    from fedward_cli.output import Format, written

    found = document(load_plannable(write(job)))
    assert yaml.safe_load(written(found, Format.YAML)) == json.loads(written(found, Format.JSON))
