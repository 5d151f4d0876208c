"""From `helm install` to a trained model, by the documented commands, on two clusters of real containers."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient
from monitoring.reading import read
from tests.e2e.installation import DOOR_PORT, RESEARCH, ROOT, ended, example, pods, volume
from tests.e2e.metrics import scrape
from tests.e2e.prometheus import Prometheus
from tests.kube.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

JOB = "brain-tumour"
UPDATE_NBYTES = 560_000


@pytest.fixture(scope="module")
def prometheus(federation):
    """What scrapes the hub's cluster, a hospital's parts in it included; started once the job has an aggregator."""
    return Prometheus(federation.hub)


@pytest.fixture(scope="module")
def trained(federation, prometheus, mlflow):
    """The example's job, applied and waited for; it is logged to a server that is away for the first rounds."""
    wait_until(
        "all are connected, and their cases are counted",
        lambda: federation.hub.kubectl("get", "fsite", "-o", "jsonpath={.items[*].status.cases.brats}").split(),
        120,
        lambda counts: len(counts) == 3,
    )
    user, _, password = mlflow.password.partition(":")
    credentials = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    secret = {"metadata": {"name": "ada"}, "stringData": credentials}
    federation.hub.plane.request("POST", f"/api/v1/namespaces/{RESEARCH}/secrets", secret)
    started = time.monotonic()
    federation.apply(JOB, tracking={"mlflow": {"uri": mlflow.address, "secretName": "ada"}})
    federation.wait_for_round(JOB, 1)
    federation.seconds["kubectl apply to first round open"] = time.monotonic() - started
    opened = time.monotonic()
    wait_until(
        "its tracker runs",
        lambda: [each["status"]["phase"] for each in pods(federation.hub, RESEARCH, "tracker")],
        60,
        ["Running"].__eq__,
    )
    prometheus.start()
    federation.wait_for_round(JOB, 4)
    mlflow.open()
    federation.wait_for_round(JOB, 5)
    prometheus.moment = time.time()
    status = federation.wait_for_end(JOB)
    federation.seconds["a round on the cluster"] = (time.monotonic() - opened) / example()["spec"]["rounds"]["count"]
    assert ended(status) == "Completed", (status, federation.hub.kubectl("get", "fjob,sjob,pods", "-A", "-o", "wide"))
    return federation, status


def test_every_hospital_has_joined_and_is_heard_with_its_cases_counted(trained):
    federation, _ = trained
    all_heard = dict.fromkeys(("north", "south", "west"), ("True", "Heard"))
    wait_until("all are heard", federation.connected, 60, lambda seen: seen == all_heard)
    found = json.loads(federation.hub.kubectl("get", "fsite", "north", "-o", "json"))["status"]
    assert found["cases"] == {"brats": 26}
    assert found["gpus"] == 1


def test_nobody_out_there_can_begin_to_talk_to_the_hospital(federation):
    before = federation.hospital.network.refused()
    address = federation.hospital.network.address
    for port in (6443, 10250):
        with pytest.raises(RuntimeError):
            federation.hub.network.run("timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}")
    assert federation.hospital.network.refused() > before
    # And the other way round there is one way, the door's.
    federation.hospital.network.run(
        *("timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{federation.hub.network.address}/{DOOR_PORT}"),
    )


def test_the_model_has_learnt_at_every_hospital(trained):
    _, status = trained
    assert (status["round"], status["rounds"]) == (6, 6)
    assert status["metrics"]["dice"] > 0.55
    assert {site["name"]: site["samples"] for site in status["sites"]} == {"north": 20, "south": 10, "west": 4}
    assert all(site["metrics"]["dice"] > 0.4 for site in status["sites"])


def test_what_left_each_hospital_stands_in_an_audit_log_that_is_whole(trained):
    federation, _ = trained
    for site in federation.sites.values():
        folder = volume(site.cluster, site.namespace, "fedward-gateway-audit")
        said = federation.fedward(site.cluster, "audit", "verify", str(folder))
        assert ": whole, " in said, said
        entries = [
            json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()
        ]
        rounds = {
            each["facts"]["round"]
            for each in entries
            if each["facts"].get("job") == f"{RESEARCH}/{JOB}" and each["event"].startswith("update")
        }
        assert rounds == set(range(1, 7)), "each round's update is written down"


def test_every_part_says_how_it_goes_in_metrics(trained):
    federation, _ = trained
    hub = federation.hub
    (operator,) = pods(hub, "fedward", "hub-operator")
    assert f'fedward_operator_job_round{{job_name="{JOB}",job_namespace="{RESEARCH}"}} 6.0' in scrape(hub, operator)
    for site in federation.sites.values():
        (gateway,) = pods(site.cluster, site.namespace, "gateway")
        page = scrape(site.cluster, gateway)
        about = f'job_name="{JOB}",job_namespace="{RESEARCH}",site="{site.name}"'
        assert counted(page, f"fedward_gateway_released_total{{{about}}}") == 6
        up = f'direction="up",{about}'
        assert counted(page, f"fedward_gateway_bytes_total{{{up}}}") > 6 * UPDATE_NBYTES
        (operator,) = pods(site.cluster, site.namespace, "site-operator")
        assert 'fedward_operator_reconciles_total{kind="SiteJob"' in scrape(site.cluster, operator)


def test_a_prometheus_that_follows_the_usual_annotations_finds_every_part(trained, prometheus):
    up = {each["metric"]["fedward_io_component"]: each["value"][1] for each in prometheus.ask("up", prometheus.moment)}
    assert up == dict.fromkeys(("hub-operator", "aggregator", "tracker", "site-operator", "gateway"), "1")
    dice = f'max_over_time(fedward_aggregator_site_metric{{job_name="{JOB}",metric="dice"}}[15m])'
    assert {each["metric"]["site"] for each in prometheus.ask(dice)} == set(trained[0].sites)
    (trainer,) = prometheus.ask(f'fedward_trainer_round{{job_name="{JOB}",site="west"}}')
    assert trainer["value"][1] == "6", "its pod is gone, and what it said last is not"
    assert prometheus.ask('ALERTS{alertname=~"Fedward.*",alertstate="firing"}') == []


NOTHING_TO_SAY = {
    "federation": {"What is wrong"},
    # The job asks for no filter and no noise, and has no GPU here.
    "job": {"Privacy spent"},
    "site": {
        "Time to filter an update",
        "ε spent",
        "Budget left",
        "Share of the budget spent",
        "GPU load",
        "GPU memory",
    },
}
ONLY_WHILE_IT_TRAINS = {"Speed", "Waiting for data", "Training loss"}


@pytest.mark.parametrize("name", NOTHING_TO_SAY)
def test_every_panel_of_a_dashboard_has_something_to_show(trained, prometheus, name):
    (path,) = ROOT.glob(f"charts/*/dashboards/{name}.json")
    chosen = {"job_namespace": RESEARCH, "job_name": JOB, "site": "west" if name == "site" else ".*"}
    chosen |= {"metric": "dice", "__rate_interval": "10s"}

    def answers(panel):
        return any(prometheus.ask(target.filled(chosen), prometheus.moment) for target in panel.targets)

    empty = {panel.title for panel in read(path).panels if panel.targets and not answers(panel)}
    assert empty - ONLY_WHILE_IT_TRAINS == NOTHING_TO_SAY[name]


def test_mlflow_was_away_and_has_every_round_once_and_the_model_and_the_report(trained, mlflow, tmp_path):
    federation, _ = trained
    wait_until("all is logged", lambda: tracked(federation.status(JOB)), 120, ("True", "Logged").__eq__)
    about = f"--field-selector=involvedObject.name={JOB},reason=Behind"
    assert federation.hub.kubectl("get", "events", "-n", RESEARCH, about, "-o", "name"), "nobody was told"

    client = MlflowClient(mlflow.server)
    (experiment,) = client.search_experiments(filter_string=f"name = '{RESEARCH}/{JOB}'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.tags["fedward.state"]) == ("FINISHED", "Completed")
    assert [point.step for point in client.get_metric_history(run.info.run_id, "round")] == [1, 2, 3, 4, 5, 6]
    for site in federation.sites:
        assert run.data.metrics[f"{site}/dice"] > 0.4
    assert max(Counter(mlflow.points).values()) == 1
    model = client.download_artifacts(run.info.run_id, "model.safetensors", str(tmp_path))
    assert hashlib.sha256(Path(model).read_bytes()).hexdigest() == run.data.tags["fedward.model_sha256"]
    assert {each.path for each in client.list_artifacts(run.info.run_id)} >= {"plan.json", "report.html"}


def tracked(status):
    """Say of a job whether it is logged, and why not."""
    (condition,) = [each for each in status["conditions"] if each["type"] == "Tracked"]
    return condition["status"], condition["reason"]


def test_helm_test_finds_nothing_wrong(trained):
    federation, _ = trained
    federation.hub.command("helm", "test", "fedward", "-n", "fedward", "--timeout", "90s")
    for site in federation.sites.values():
        site.cluster.command("helm", "test", "fedward-site", "-n", site.namespace, "--timeout", "90s")


def test_doctor_finds_nothing_wrong(trained):
    federation, _ = trained
    federation.fedward(federation.hub, "doctor", "-n", "fedward")
    for site in federation.sites.values():
        federation.fedward(site.cluster, "doctor", "-n", site.namespace)


def test_a_researcher_looks_at_the_job_and_fetches_its_report(trained, tmp_path):
    federation, _ = trained
    hub, where = federation.hub, (JOB, "-n", RESEARCH)
    assert f"{JOB}: Completed, round 6/6" in federation.fedward(hub, "watch", *where)
    assert "nothing is wrong with it" in federation.fedward(hub, "describe", *where)
    assert "JobCompleted" in federation.fedward(hub, "logs", *where)
    sites = json.loads(federation.fedward(hub, "sites", "-o", "json"))["sites"]
    assert {each["name"]: each["connected"] for each in sites} == {"north": True, "south": True, "west": True}

    federation.fedward(hub, "report", *where, "--out", str(tmp_path))
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["state"], result["roundsDone"]) == ("Completed", 6)
    assert {each["name"]: each["trainingCases"] for each in result["sites"]} == {"north": 20, "south": 10, "west": 4}
    assert hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest() == result["model"]["digest"]
    assert "</html>" in (tmp_path / "report.html").read_text()
    reader = ("get", "pods", "-n", RESEARCH, "-l", "fedward.io/component=reader", "-o", "name")
    wait_until("its pod is gone", lambda: hub.kubectl(*reader), 60, lambda it: it == "")


def test_a_deleted_job_leaves_nothing(trained):
    federation, _ = trained
    federation.hub.kubectl("delete", "fjob", JOB, "-n", RESEARCH, "--timeout=60s")
    wait_until("nothing of it is left at the hub", lambda: left(federation.hub, RESEARCH), 60, lambda it: it == [])
    for site in federation.sites.values():
        mailbox = federation.hub.kubectl("get", "sjob", "-n", site.mailbox, "-o", "name")
        assert mailbox == ""
        wait_until("nothing is left", lambda site=site: left(site.cluster, site.namespace), 60, lambda it: it == [])


def counted(page, series):
    """Read a value from a page of metrics."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", page, re.MULTILINE)
    assert found is not None, f"no {series} in {page}"
    return float(found[1])


def left(cluster, namespace):
    """Name what a job has in a namespace."""
    kinds = "jobs,pods,services,secrets,configmaps,pvc,networkpolicies"
    return (
        cluster.kubectl("get", kinds, "-n", namespace, "-l", "fedward.io/job", "-o", "name").split()
        + cluster.kubectl("get", kinds, "-n", namespace, "-l", "fedward.io/site-job", "-o", "name").split()
    )
