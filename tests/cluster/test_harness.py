"""The control plane that the other cluster tests build on is a real one."""

from __future__ import annotations

import json

import pytest
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster


def config_map(name, **metadata):
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"a": "1"}}
    return json.dumps(document)


def test_what_is_applied_is_there_after_the_api_server_was_away(hub, kubectl, namespace):
    assert kubectl("apply", "-n", namespace, "-f", "-", manifest=config_map("kept")).returncode == 0
    hub.stop_api_server()
    assert kubectl("get", "configmap", "kept", "-n", namespace).returncode != 0
    hub.start_api_server()
    found = kubectl("get", "configmap", "kept", "-n", namespace, "-o", "jsonpath={.data.a}")
    assert found.stdout == "1"


def test_what_an_object_owned_is_collected_after_it(kubectl, namespace):
    kubectl("apply", "-n", namespace, "-f", "-", manifest=config_map("owner"))
    uid = kubectl("get", "configmap", "owner", "-n", namespace, "-o", "jsonpath={.metadata.uid}").stdout
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    kubectl("apply", "-n", namespace, "-f", "-", manifest=config_map("owned", ownerReferences=[owner]))
    kubectl("delete", "configmap", "owner", "-n", namespace)
    gone = kubectl("wait", "--for=delete", "configmap/owned", "-n", namespace, "--timeout=30s")
    assert gone.returncode == 0, gone.stderr


def test_a_deleted_namespace_goes_with_all_that_is_in_it(kubectl, namespace):
    kubectl("apply", "-n", namespace, "-f", "-", manifest=config_map("inside"))
    gone = kubectl("delete", "namespace", namespace, "--timeout=50s")
    assert gone.returncode == 0, gone.stderr


def test_a_user_without_a_role_may_nothing_and_one_with_a_role_what_it_says(hub, kubectl, namespace):
    reader = hub.kubeconfig("reader")
    refused = kubectl("get", "configmaps", "-n", namespace, kubeconfig=reader)
    assert "Forbidden" in refused.stderr
    kubectl("create", "role", "reads", "--verb=list", "--resource=configmaps", "-n", namespace)
    kubectl("create", "rolebinding", "reads", "--role=reads", "--user=reader", "-n", namespace)
    assert kubectl("get", "configmaps", "-n", namespace, kubeconfig=reader).returncode == 0
    assert "Forbidden" in kubectl("get", "secrets", "-n", namespace, kubeconfig=reader).stderr


def pod_that_asks_for(gpus):
    limits = {"nvidia.com/gpu": str(gpus)}
    container = {"name": "main", "image": "example.org/none:1", "resources": {"limits": limits}}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}
    )


def test_a_pod_runs_on_a_node_with_a_gpu(kubectl, namespace):
    wait_until(
        "a pod is accepted",
        lambda: kubectl("apply", "-n", namespace, "-f", "-", manifest=pod_that_asks_for(1)),
        is_it=lambda done: done.returncode == 0,  # its namespace's service account comes a moment after it
    )
    runs = kubectl("wait", "--for=condition=Ready", "pod/p", "-n", namespace, "--timeout=30s")
    assert runs.returncode == 0, runs.stderr


def test_a_pod_that_asks_for_more_gpus_than_there_are_waits(kubectl, namespace):
    wait_until(
        "a pod is accepted",
        lambda: kubectl("apply", "-n", namespace, "-f", "-", manifest=pod_that_asks_for(99)),
        is_it=lambda done: done.returncode == 0,
    )
    condition = "jsonpath={.status.conditions[?(@.type=='PodScheduled')].message}"
    said = wait_until(
        "the scheduler says why", lambda: kubectl("get", "pod", "p", "-n", namespace, "-o", condition).stdout
    )
    assert "Insufficient nvidia.com/gpu" in said
