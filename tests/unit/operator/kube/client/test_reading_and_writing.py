"""What goes over the wire to an API server when objects are read and written."""

from __future__ import annotations

import pytest
from tests.unit.operator.kube.client.api_server import (
    JOB_MANIFEST,
    all_of,
    refusal,
    streaming,
)

from fedward_operator.kube.errors import ApiError
from fedward_operator.kube.kinds import FEDERATED_JOB, FEDERATED_SITE, JOB, POD, SECRET


async def test_apply_says_whose_fields_these_are_and_takes_them_from_others(api, client):
    api.answers = [{"metadata": {"resourceVersion": "7"}}]

    assert await client.apply(JOB, JOB_MANIFEST) == {"metadata": {"resourceVersion": "7"}}
    assert (api.asked["method"], api.asked["path"]) == (
        "PATCH",
        "/apis/batch/v1/namespaces/research/jobs/glioma-aggregator-1",
    )
    assert api.asked["query"] == {"fieldManager": "fedward-hub", "force": "true"}
    assert api.asked["headers"]["Content-Type"] == "application/apply-patch+yaml"
    assert api.asked["headers"]["Accept"] == "application/json"
    assert api.asked["headers"]["User-Agent"] == "fedward-hub"
    assert "Authorization" not in api.asked["headers"]
    assert api.asked["body"] == JOB_MANIFEST


async def test_apply_can_leave_others_what_they_hold(api, client):
    api.answers = [refusal(409, "Conflict", 'conflict with "kubectl"')]

    with pytest.raises(ApiError) as error:
        await client.apply(JOB, JOB_MANIFEST, force=False)

    assert api.asked["query"]["force"] == "false"
    assert error.value.is_conflict


async def test_a_status_is_applied_to_the_subresource(api, client):
    await client.apply(FEDERATED_JOB, {"metadata": {"namespace": "research", "name": "glioma"}}, subresource="status")

    assert api.asked["path"] == "/apis/fedward.io/v1alpha1/namespaces/research/federatedjobs/glioma/status"


async def test_a_kind_without_namespaces_has_none_in_its_path(api, client):
    await client.get(FEDERATED_SITE, None, "north")

    assert api.asked["path"] == "/apis/fedward.io/v1alpha1/federatedsites/north"


async def test_of_secrets_only_the_metadata_is_asked_for_but_when_one_is_wanted_whole(api, client):
    metadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    api.answers = [{}, {"metadata": {"resourceVersion": "5"}, "items": []}, streaming(), {}]

    await client.apply(SECRET, {"metadata": {"namespace": "x", "name": "tls"}})
    await all_of(client.pages(SECRET, None, {}))
    await all_of(client.watch(SECRET, None, {}, "5"))
    await client.get(SECRET, "x", "tls")

    assert [request["headers"]["Accept"] for request in api.requests] == [
        metadata,
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        metadata,
        "application/json",
    ]


async def test_create_and_replace_send_the_object(api, client):
    await client.create(JOB, JOB_MANIFEST)
    await client.replace(JOB, JOB_MANIFEST)

    assert [(request["method"], request["path"]) for request in api.requests] == [
        ("POST", "/apis/batch/v1/namespaces/research/jobs"),
        ("PUT", "/apis/batch/v1/namespaces/research/jobs/glioma-aggregator-1"),
    ]
    for request in api.requests:
        assert request["body"] == JOB_MANIFEST
        assert request["query"] == {"fieldManager": "fedward-hub"}
        assert request["headers"]["Content-Type"] == "application/json"


async def test_a_patch_is_a_list_of_operations(api, client):
    operations = [{"op": "remove", "path": "/metadata/finalizers/0"}]

    await client.patch(FEDERATED_JOB, "research", "glioma", operations)

    assert api.asked["headers"]["Content-Type"] == "application/json-patch+json"
    assert api.asked["body"] == operations


async def test_a_deletion_is_of_the_object_that_was_meant_and_of_what_it_owns(api, client):
    await client.delete(JOB, "research", "glioma", uid="1234")
    await client.delete(JOB, "research", "glioma")

    assert [request["body"] for request in api.requests] == [
        {"propagationPolicy": "Background", "preconditions": {"uid": "1234"}},
        {"propagationPolicy": "Background"},
    ]


@pytest.mark.parametrize("code", [404, 409])
async def test_what_is_gone_or_another_by_now_need_not_be_deleted(api, client, code):
    api.answers = [refusal(code)]

    await client.delete(JOB, "research", "glioma", uid="1234")


async def test_a_refused_deletion_is_an_error(api, client):
    api.answers = [refusal(403, "Forbidden")]

    with pytest.raises(ApiError):
        await client.delete(JOB, "research", "glioma")


async def test_pages_are_read_to_the_end_with_whatever_token_the_server_gives(api, client):
    tokens = ["a+b/c==", "x&y=z %25", ""]
    api.answers = [
        {"metadata": {"resourceVersion": "5", "continue": token}, "items": [{"page": n}] if n < 2 else None}
        for n, token in enumerate(tokens)
    ]

    pages = await all_of(client.pages(POD, "research", {"labelSelector": "fedward.io/component=aggregator"}))

    assert pages == [([{"page": 0}], "5"), ([{"page": 1}], "5"), ([], "5")]
    assert [request["query"].get("continue") for request in api.requests] == [None, *tokens[:2]]
    for request in api.requests:
        assert request["path"] == "/api/v1/namespaces/research/pods"
        assert request["query"]["limit"] == "100"
        assert request["query"]["labelSelector"] == "fedward.io/component=aggregator"


async def test_no_namespace_means_all_of_them(api, client):
    api.answers = [{"metadata": {"resourceVersion": "5"}, "items": []}]

    await all_of(client.pages(POD, None, {}))

    assert api.asked["path"] == "/api/v1/pods"
