"""The manifests of a job's children: whose they are, what they are called, and that they are recognised again."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
from situation import UID, spec

from fedward_operator.api.site_job import SiteJob
from fedward_operator.hub import children
from fedward_operator.hub.children import JOB_FAILED
from fedward_operator.hub.owned import Owner
from fedward_operator.hub.settings import HubSettings
from fedward_operator.hub.views import view_network_policy, view_part, view_service
from fedward_operator.kube import kinds
from fedward_operator.policy.pods import view_job, view_pod

SETTINGS = HubSettings("north.example", "hub.example:443", "fedward/aggregator:1", "fedward/trainer:1")
OWNER = Owner("research", "glioma", UID, {"kueue.x-k8s.io/queue-name": "gpus", "team": "tumours"})
FAMILY = ("research", "glioma")
HELD = {"attempt": 2, "suspend": False, "address": "hub.example:443"}


def site_job(held=HELD, **more):
    return children.site_job(OWNER, spec(**more), "north", ("{}", "d" * 64), SETTINGS, held)


OWN = [
    (kinds.CONFIG_MAP, children.plan_map(OWNER, "{}"), "glioma-plan"),
    (kinds.CLAIM, children.claim(OWNER, SETTINGS), "glioma-aggregator"),
    (kinds.SERVICE, children.service(OWNER), "glioma-aggregator"),
    (kinds.NETWORK_POLICY, children.network_policy(OWNER, SETTINGS, tracked=False), "glioma-aggregator"),
    (kinds.JOB, children.aggregator_job(OWNER, spec(), 2, SETTINGS), "glioma-aggregator-2"),
]


@pytest.mark.parametrize(("kind", "manifest", "name"), OWN, ids=[kind.name for kind, _, _ in OWN])
def test_a_child_beside_the_job_goes_with_it_and_is_found_by_its_labels(kind, manifest, name):
    metadata = manifest["metadata"]

    assert (manifest["apiVersion"], manifest["kind"]) == (kind.api_version, kind.name)
    assert (metadata["namespace"], metadata["name"]) == ("research", name)
    assert (
        metadata["labels"].items()
        >= {
            "fedward.io/job": "glioma",
            "fedward.io/job-namespace": "research",
            "fedward.io/job-uid": UID,
        }.items()
    )
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("FederatedJob", "glioma", UID, True)
    assert json.loads(json.dumps(manifest)) == manifest


def test_a_plan_cannot_be_changed():
    manifest = children.plan_map(OWNER, '{"rounds": 3}')

    assert manifest["immutable"] is True
    assert manifest["data"] == {"plan.json": '{"rounds": 3}'}


@pytest.mark.parametrize("storage_class", [None, "fast"])
def test_a_claim_names_a_storage_class_only_where_one_was_chosen(storage_class):
    settings = HubSettings("f", "d:1", "a", "t", storage_class=storage_class, storage="5Gi")

    claim = children.claim(OWNER, settings)["spec"]
    assert claim.get("storageClassName") == storage_class
    assert claim["resources"] == {"requests": {"storage": "5Gi"}}


def test_a_service_is_recognised_as_it_should_be_and_a_changed_one_is_not():
    item = children.service(OWNER)
    item["metadata"]["uid"] = "s1"
    item["spec"] |= {"clusterIP": "10.0.0.7", "type": "ClusterIP"}
    assert view_service(item).held == children.service_held(OWNER)

    item["spec"]["selector"] = {"app": "mine"}
    assert view_service(item).held != children.service_held(OWNER)


def test_the_service_leads_to_the_aggregators_pods_of_any_attempt_and_to_no_others():
    selector = children.service(OWNER)["spec"]["selector"].items()
    labels = [
        children.aggregator_job(OWNER, spec(), attempt, SETTINGS)["spec"]["template"]["metadata"]["labels"].items()
        for attempt in (1, 2)
    ]
    other = children.aggregator_job(Owner("research", "glioma", "other uid", {}), spec(), 1, SETTINGS)

    assert all(selector <= each for each in labels)
    assert not selector <= other["spec"]["template"]["metadata"]["labels"].items()


def test_a_fence_is_recognised_as_it_should_be_and_a_loosened_one_is_not():
    wanted = children.network_policy(OWNER, SETTINGS, tracked=False)
    item = json.loads(json.dumps(wanted))
    item["metadata"]["uid"] = "n1"
    del item["spec"]["egress"]  # as the API server leaves out what is empty
    assert view_network_policy(item).held == children.network_policy_held(wanted)

    item["spec"]["egress"] = [{}]
    assert view_network_policy(item).held != children.network_policy_held(wanted)


def test_a_fence_is_around_the_aggregators_pods_of_any_attempt_and_lets_nothing_out():
    fence = children.network_policy(OWNER, SETTINGS, tracked=False)["spec"]

    assert fence["podSelector"]["matchLabels"] == children.service(OWNER)["spec"]["selector"]
    assert fence["policyTypes"] == ["Ingress", "Egress"]
    assert fence["egress"] == []


@pytest.mark.parametrize("endpoint", ["", "http://collector.monitoring:4317"])
def test_an_aggregator_is_told_the_collector_and_its_fence_lets_it_there(endpoint):
    rules = [{"to": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": 4317}]}] if endpoint else []
    settings = replace(SETTINGS, tracing_endpoint=endpoint, tracing_egress=rules)
    pod = children.aggregator_job(OWNER, spec(), 1, settings)["spec"]["template"]["spec"]

    env = pod["containers"][0].get("env", [])
    assert env == ([{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": endpoint}] if endpoint else [])
    assert "env" not in pod["initContainers"][0], "that one runs the researcher's code"
    assert children.network_policy(OWNER, settings, tracked=False)["spec"]["egress"] == rules


@pytest.mark.parametrize("scrapers", [[], [{"namespaceSelector": {"matchLabels": {"team": "watch"}}}]])
def test_metrics_are_for_those_alone_who_were_named(scrapers):
    settings = HubSettings("f", "d:1", "a", "t", scrapers=scrapers)
    rules = children.network_policy(OWNER, settings, tracked=False)["spec"]["ingress"]

    assert [rule["from"] for rule in rules if rule["ports"][0]["port"] == 9090] == ([scrapers] if scrapers else [])
    assert all(rule["from"] for rule in rules), "a rule without peers lets everybody in"


SCRAPED = replace(SETTINGS, scrapers=[{"podSelector": {}}], annotate_aggregators=True)
SECURED = replace(SCRAPED, scraper_authority=lambda: b"theirs")


def test_metrics_by_mutual_tls_are_shown_to_the_scrapers_authority_and_not_to_the_hospitals():
    pod = children.aggregator_job(OWNER, spec(), 1, SECURED)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    told = dict(itertools.pairwise(container["args"]))
    (mount,) = [each for each in container["volumeMounts"] if each["mountPath"] == told["--secure-metrics-tls"]]
    (secret,) = [each["secret"] for each in pod["volumes"] if each["name"] == mount["name"]]

    assert mount["readOnly"]
    assert secret["secretName"] == "glioma-aggregator-tls"
    assert {each["path"]: each["key"] for each in secret["items"]}["ca.crt"] == "scrapers.crt"
    assert not any(each["name"] == mount["name"] for each in pod["initContainers"][0]["volumeMounts"])


def test_metrics_by_mutual_tls_are_found_and_let_through_at_their_port_alone():
    template = children.aggregator_job(OWNER, spec(), 1, SECURED)["spec"]["template"]
    (port,) = [each for each in template["spec"]["containers"][0]["ports"] if each["name"] == "secure-metrics"]
    rules = children.network_policy(OWNER, SECURED, tracked=False)["spec"]["ingress"]

    said = template["metadata"]["annotations"]
    assert (said["prometheus.io/scheme"], said["prometheus.io/port"]) == ("https", str(port["containerPort"]))
    assert [each["port"] for rule in rules for each in rule["ports"]] == [8443, port["containerPort"]]


@pytest.mark.parametrize("annotated", [False, True])
def test_a_pod_says_how_to_scrape_it_where_the_hub_wants_that(annotated):
    settings = replace(SETTINGS, annotate_aggregators=annotated)
    template = children.aggregator_job(OWNER, spec(), 1, settings)["spec"]["template"]
    (port,) = [each for each in template["spec"]["containers"][0]["ports"] if each["name"] == "metrics"]

    said = {"scrape": "true", "scheme": "http", "path": "/metrics", "port": str(port["containerPort"])}
    wanted = {f"prometheus.io/{name}": value for name, value in said.items()} if annotated else None
    assert template["metadata"].get("annotations") == wanted


def test_an_aggregators_job_and_its_pods_are_recognised_by_owner_family_and_attempt():
    manifest = children.aggregator_job(OWNER, spec(), 7, SETTINGS)
    manifest["metadata"]["uid"] = "j7"
    pod = {"metadata": {**manifest["spec"]["template"]["metadata"], "name": "x", "uid": "p"}}

    for found in (view_job(manifest), view_pod(pod)):
        assert (found.owner, found.family, found.attempt) == (UID, FAMILY, 7)


def test_an_aggregator_is_started_as_its_attempt_on_the_jobs_plan_and_claim():
    pod = children.aggregator_job(OWNER, spec(), 7, SETTINGS)["spec"]["template"]["spec"]
    (initialise,), (aggregator,) = pod["initContainers"], pod["containers"]

    assert aggregator["image"] == "fedward/aggregator:1"
    assert aggregator["args"][aggregator["args"].index("--attempt") + 1] == "7"
    assert initialise["image"] == "fedward/trainer:1"
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["plan"]["configMap"] == {"name": "glioma-plan"}
    assert volumes["state"]["persistentVolumeClaim"] == {"claimName": "glioma-aggregator"}
    assert volumes["tls"]["secret"]["secretName"] == "glioma-aggregator-tls"
    for container in (initialise, aggregator):
        assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)
        assert container["resources"]["limits"]["memory"]
    # The first container runs a researcher's code: it sees no update, no key, and nothing that the other one writes to.
    theirs, ours = ({mount["name"]: mount for mount in each["volumeMounts"]} for each in (initialise, aggregator))
    assert theirs.keys() & ours.keys() == {"plan", "initial"}
    assert not {"state", "tls"} & theirs.keys()
    assert ours["initial"]["readOnly"]


def test_images_are_pulled_with_the_secrets_that_were_named_and_without_any_where_none_was():
    def pull_secrets(*names):
        settings = HubSettings("f", "d:1", "a", "t", pull_secrets=names)
        return children.aggregator_job(OWNER, spec(), 1, settings)["spec"]["template"]["spec"].get("imagePullSecrets")

    assert pull_secrets("mirror", "spare") == [{"name": "mirror"}, {"name": "spare"}]
    assert pull_secrets() is None


def test_the_first_model_is_made_with_the_jobs_own_image():
    image = "registry.example/mine@sha256:" + "a" * 64
    pod = children.aggregator_job(OWNER, spec(image=image), 1, SETTINGS)["spec"]["template"]["spec"]

    assert pod["initContainers"][0]["image"] == image
    assert pod["containers"][0]["image"] == "fedward/aggregator:1"


def test_a_job_is_queued_as_its_owner_is_and_bears_no_other_label_of_its_owner():
    labels = children.aggregator_job(OWNER, spec(), 1, SETTINGS)["metadata"]["labels"]

    assert labels["kueue.x-k8s.io/queue-name"] == "gpus"
    assert "kueue.x-k8s.io/priority-class" not in labels
    assert "team" not in labels


def test_an_aggregator_whose_job_has_failed_is_not_started_again_and_a_disrupted_one_is():
    job = children.aggregator_job(OWNER, spec(backoffLimit=6), 1, SETTINGS)["spec"]
    final, disrupted = job["podFailurePolicy"]["rules"]

    assert job["backoffLimit"] == 6
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert (final["action"], final["onExitCodes"]["containerName"]) == ("FailJob", "aggregator")
    assert (final["onExitCodes"]["operator"], final["onExitCodes"]["values"]) == ("In", [JOB_FAILED])
    assert disrupted == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_what_a_site_is_asked_lies_in_its_mailbox_and_satisfies_the_schema():
    manifest = site_job(resources={"gpu": {"count": 2}}, podTemplate={"nodeSelector": {"disk": "fast"}}, backoffLimit=1)
    checked = SiteJob.model_validate(manifest)

    assert manifest["metadata"]["namespace"] == "fedward-site-north"
    assert manifest["metadata"]["labels"]["fedward.io/side"] == "hub"
    assert "ownerReferences" not in manifest["metadata"], "an owner in another namespace would have it collected"
    assert (checked.spec.job.namespace, checked.spec.job.name, checked.spec.job.uid) == (*FAMILY, UID)
    assert (checked.spec.site, checked.spec.dataset, checked.spec.federation) == ("north", "brats", "north.example")
    assert (checked.spec.resources.gpu.count, checked.spec.backoff_limit) == (2, 1)
    assert checked.spec.pod_template.node_selector == {"disk": "fast"}
    assert (checked.spec.plan, checked.spec.plan_digest, checked.spec.image) == ("{}", "d" * 64, None)


@pytest.mark.parametrize("held", [HELD, {**HELD, "attempt": 3, "suspend": True}])
def test_what_was_asked_is_recognised(held):
    item = site_job(held)
    item["metadata"]["uid"] = "s1"

    found = view_part(item)
    assert (found.site, found.family, found.job_uid) == ("north", FAMILY, UID)
    assert {"attempt": found.attempt, "suspend": found.suspend, "address": found.address} == held


def test_a_site_runs_the_jobs_image_where_it_names_one():
    assert site_job(image="registry.example/mine:2")["spec"]["image"] == "registry.example/mine:2"
    assert "image" not in site_job()["spec"]
