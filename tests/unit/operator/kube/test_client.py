"""What goes over the wire to an API server, and what becomes of its answers; the server here says what a test wants."""

from __future__ import annotations

import asyncio
import json
import ssl
import traceback
from datetime import UTC, datetime

import pytest
import yaml
from aiohttp import web
from hand_loop import Meter, in_no_time
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kube.certificates import ClusterAuthority

from fedward_operator.kube import client as module
from fedward_operator.kube.access import Access, AccessError, from_kubeconfig
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError, ExpiredError, UnavailableError
from fedward_operator.kube.kinds import FEDERATED_JOB, FEDERATED_SITE, JOB, POD, SECRET

JOB_MANIFEST = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"namespace": "research", "name": "glioma-aggregator-1"},
    "spec": {"backoffLimit": 3},
}


class Api:
    """Answers each request with what was put ready for it, or `{}`."""

    def __init__(self):
        self.requests, self.answers = [], []

    async def handle(self, request):
        body = await request.read()
        self.requests.append(
            {
                "method": request.method,
                "path": request.path,
                "query": dict(request.query),
                "headers": dict(request.headers),
                "body": json.loads(body) if body else None,
            }
        )
        answer = self.answers.pop(0) if self.answers else {}
        if callable(answer):
            return await answer(request)
        return web.json_response(answer) if isinstance(answer, dict) else answer

    @property
    def asked(self):
        (only,) = self.requests
        return only


def refusal(code, reason="", message="", *, seconds=None, headers=None):
    status = {"kind": "Status", "code": code, "reason": reason, "message": message}
    if seconds is not None:
        status["details"] = {"retryAfterSeconds": seconds}
    return web.json_response(status, status=code, headers=headers)


def streaming(*chunks):
    """An answer in exactly these pieces."""

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0)
        return response

    return answer


def event(kind, name, version):
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": str(version)}}}


def line(of):
    return json.dumps(of).encode() + b"\n"


async def all_of(source):
    return [each async for each in source]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


async def serving(api, context=None):
    application = web.Application(client_max_size=1 << 24)
    application.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    return runner, site._server.sockets[0].getsockname()[1]


@pytest.fixture
async def api():
    found = Api()
    runner, found.port = await serving(found)
    found.url = f"http://127.0.0.1:{found.port}"
    yield found
    await runner.cleanup()


@pytest.fixture
def meter():
    return Meter()


def access(api, **more):
    return Access(api.url, ssl.create_default_context(), **more)


@pytest.fixture
async def client(api, meter):
    async with Client(access(api), "fedward-hub", meter) as found:
        yield found


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


async def test_a_watch_goes_on_from_a_version_and_asks_for_bookmarks(api, client, meter):
    api.answers = [streaming(line(event("ADDED", "a", 6)), line(event("BOOKMARK", "", 9)))]

    events = await all_of(client.watch(POD, "research", {"fieldSelector": "x=y"}, "5"))

    assert [(kind, item["metadata"]["resourceVersion"]) for kind, item in events] == [("ADDED", "6"), ("BOOKMARK", "9")]
    query = api.asked["query"]
    assert query.pop("timeoutSeconds").isdigit()
    assert query == {"fieldSelector": "x=y", "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "5"}
    assert meter.told == [("watch", 200)]


async def test_events_are_put_together_from_chunks_that_end_anywhere(api, client):
    events = [event("ADDED", "grün", 6), event("MODIFIED", "b" * 70_000, 7), event("DELETED", "c", 8)]
    text = b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in events)
    cut = text.index("ü".encode()) + 1
    api.answers = [streaming(text[:3], text[3:cut], text[cut : cut + 5], text[cut + 5 : -40], text[-40:])]

    found = await all_of(client.watch(POD, None, {}, "5"))

    assert found == [(each["type"], each["object"]) for each in events]


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1).map(lambda some: some.replace(b"\n", b"")).filter(bool)), st.data())
@in_no_time
async def test_lines_are_the_same_however_a_stream_is_cut(lines, data):
    text = b"".join(each + b"\n" for each in lines) + b"an unfinished one"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))

    class Stream:
        async def iter_any(self):
            for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
                yield text[start:end]

    assert await all_of(module._lines(Stream())) == lines


async def test_an_event_that_never_ends_is_not_kept_in_memory(api, client, monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_EVENT", 1000)
    api.answers = [streaming(*[b"x" * 100] * 50)]

    with pytest.raises(UnavailableError, match="longer than 1000"):
        await all_of(client.watch(POD, None, {}, "5"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            streaming(line({"type": "ERROR", "object": {"code": 410, "message": "too old"}})),
            ExpiredError,
            id="an event that says 410",
        ),
        pytest.param(
            streaming(line({"type": "ERROR", "object": {"code": 500, "reason": "InternalError"}})),
            ApiError,
            id="an event that says 500",
        ),
        pytest.param(streaming(line({"type": "ERROR", "object": {}})), ApiError, id="an event that says nothing"),
        pytest.param(refusal(410, "Expired"), ApiError, id="410"),
        pytest.param(refusal(403, "Forbidden"), ApiError, id="403"),
        pytest.param(streaming(b"<html>\n"), UnavailableError, id="a page of a proxy"),
    ],
)
async def test_a_watch_that_fails_says_how(api, client, answer, expected):
    api.answers = [answer]

    with pytest.raises(expected):
        await all_of(client.watch(POD, None, {}, "5"))


async def test_what_came_before_an_error_is_not_lost(api, client):
    api.answers = [streaming(line(event("ADDED", "a", 6)), line({"type": "ERROR", "object": {"code": 410}}))]
    watch = client.watch(POD, None, {}, "5")

    assert (await anext(watch))[0] == "ADDED"
    with pytest.raises(ExpiredError):
        await anext(watch)


async def test_a_watch_that_falls_silent_is_given_up(api, client, meter, monkeypatch):
    monkeypatch.setattr(module, "_SILENCE_S", 0.05)
    over = asyncio.Event()

    async def silent(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(line(event("ADDED", "a", 6)))
        await over.wait()
        return response

    api.answers = [silent]
    with pytest.raises(UnavailableError):
        await all_of(client.watch(POD, None, {}, "5"))
    over.set()
    assert meter.told == [("watch", 200), ("watch", 0)]


async def test_a_request_that_is_not_answered_is_given_up(api, meter, monkeypatch):
    monkeypatch.setattr(module, "_REQUEST_S", 0.05)
    over = asyncio.Event()

    async def late(request):
        await over.wait()
        return web.json_response({})

    api.answers = [late]
    async with Client(access(api), "fedward-hub", meter) as client:
        with pytest.raises(UnavailableError):
            await client.get(POD, "x", "y")
    over.set()
    assert meter.told == [("get", 0)]


async def test_a_refusal_says_code_reason_and_message(api, client, meter):
    api.answers = [refusal(403, "Forbidden", 'pods "x" is forbidden: exceeded quota: compute')]

    with pytest.raises(ApiError, match=r"403 Forbidden: pods .* exceeded quota") as error:
        await client.create(POD, {"metadata": {"namespace": "x"}})

    assert (error.value.code, error.value.reason) == (403, "Forbidden")
    assert meter.told == [("create", 403)]


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (refusal(429, headers={"Retry-After": "7"}), 7),
        (refusal(429, seconds=5), 5),
        (refusal(429, seconds=5, headers={"Retry-After": "7"}), 7),
        (refusal(503, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), None),
        (refusal(503), None),
    ],
)
async def test_the_wish_to_be_left_alone_is_heard(api, client, answer, seconds):
    api.answers = [answer]

    with pytest.raises(ApiError) as error:
        await client.get(POD, "x", "y")

    assert error.value.retry_after_s == seconds


async def test_a_refusal_that_is_no_status_has_the_words_of_http(api, client):
    api.answers = [web.Response(status=502, text="<html>upstream</html>")]

    with pytest.raises(ApiError, match="502 Bad Gateway: <html>upstream</html>"):
        await client.get(POD, "x", "y")


async def test_an_answer_that_is_no_json_counts_as_none(api, client):
    api.answers = [web.Response(text="<html>log in</html>")]

    with pytest.raises(UnavailableError):
        await client.get(POD, "x", "y")


async def test_a_token_that_was_rotated_is_read_after_the_first_401(api, meter, tmp_path):
    (tmp_path / "token").write_text("old")
    api.answers = [refusal(401, "Unauthorized"), {}, refusal(401, "Unauthorized"), streaming()]
    async with Client(access(api, token_file=tmp_path / "token"), "fedward-hub", meter) as client:
        (tmp_path / "token").write_text("new")
        with pytest.raises(ApiError):
            await client.get(POD, "x", "y")
        await client.get(POD, "x", "y")
        (tmp_path / "token").write_text("newer")
        with pytest.raises(ApiError):
            await all_of(client.watch(POD, None, {}, "5"))
        await all_of(client.watch(POD, None, {}, "5"))

    said = [request["headers"]["Authorization"] for request in api.requests]
    assert said == ["Bearer old", "Bearer new", "Bearer new", "Bearer newer"]


async def test_a_token_that_cannot_be_read_just_now_is_a_refusal_like_others(api, meter, tmp_path):
    (tmp_path / "token").write_text("old")
    api.answers = [refusal(401, "Unauthorized", "no"), {}]
    async with Client(access(api, token_file=tmp_path / "token"), "fedward-hub", meter) as client:
        (tmp_path / "token").unlink()
        with pytest.raises(ApiError, match="token cannot be read"):
            await client.get(POD, "x", "y")
        await client.get(POD, "x", "y")

    assert api.requests[1]["headers"]["Authorization"] == "Bearer old"


async def test_without_its_first_token_there_is_no_client(api, meter, tmp_path):
    with pytest.raises(AccessError):
        Client(access(api, token_file=tmp_path / "token"), "fedward-hub", meter)


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.get(POD, "x", "y"),
        lambda client: client.apply(JOB, JOB_MANIFEST),
        lambda client: all_of(client.watch(POD, None, {}, "5")),
    ],
    ids=["get", "apply", "watch"],
)
@pytest.mark.parametrize("trouble", ["401", "500", "a page", "nobody listens", "a token that is no header"])
async def test_the_token_shows_in_no_error(api, meter, trouble, ask):
    token = "-".join(("very", "secret"))
    spoken = f"{token}\r\nX-Evil: 1" if trouble == "a token that is no header" else token
    api.answers = {
        "401": [refusal(401, "Unauthorized", "no")],
        "500": [refusal(500, "InternalError", "oh")],
        "a page": [web.Response(text="<html>\n")],
    }.get(trouble, [])
    if trouble == "nobody listens":
        api.url = "http://127.0.0.1:1"
    async with Client(access(api, token=spoken), "fedward-hub", meter) as client:
        with pytest.raises((ApiError, UnavailableError)) as error:
            await ask(client)

    assert token not in "".join(traceback.format_exception(error.value))


async def test_no_more_requests_are_under_way_than_an_api_server_that_others_need_can_take(api, client):
    under_way, most, go = 0, 0, asyncio.Event()

    async def counted(request):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == module._AT_ONCE:
            go.set()
        await go.wait()
        await asyncio.sleep(0)
        under_way -= 1
        return web.json_response({})

    api.answers = [counted] * 100
    await asyncio.gather(*(client.get(POD, "x", str(n)) for n in range(100)))

    assert most == module._AT_ONCE


@pytest.fixture
def authority(tmp_path):
    return ClusterAuthority(tmp_path / "authority", datetime.now(UTC))


@pytest.fixture
async def tls_api(authority):
    """An API server that lets in who shows a certificate of its authority's."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca)
    context.load_cert_chain(*authority.server())
    context.verify_mode = ssl.CERT_REQUIRED
    found = Api()
    runner, found.port = await serving(found, context)
    yield found
    await runner.cleanup()


def kubeconfig(tmp_path, authority, api, **more):
    certificate, key = authority.client("fedward")
    cluster = {"server": f"https://127.0.0.1:{api.port}", "certificate-authority": str(authority.ca), **more}
    document = {
        "current-context": "hub",
        "contexts": [{"name": "hub", "context": {"cluster": "hub", "user": "me"}}],
        "clusters": [{"name": "hub", "cluster": cluster}],
        "users": [{"name": "me", "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(document))
    return from_kubeconfig(tmp_path / "config")


@pytest.mark.parametrize("more", [{}, {"tls-server-name": "localhost"}])
async def test_a_kubeconfigs_certificates_open_the_door(tmp_path, authority, tls_api, meter, more):
    async with Client(kubeconfig(tmp_path, authority, tls_api, **more), "fedward-hub", meter) as client:
        assert await client.get(POD, "x", "y") == {}


async def test_a_server_of_another_name_is_not_spoken_to(tmp_path, authority, tls_api, meter):
    access = kubeconfig(tmp_path, authority, tls_api, **{"tls-server-name": "elsewhere.example"})
    async with Client(access, "fedward-hub", meter) as client:
        with pytest.raises(UnavailableError, match="elsewhere"):
            await client.get(POD, "x", "y")
        with pytest.raises(UnavailableError, match="elsewhere"):
            await all_of(client.watch(POD, None, {}, "5"))

    assert tls_api.requests == []


async def test_a_server_of_another_authority_is_not_spoken_to(tmp_path, authority, tls_api, meter):
    other = ClusterAuthority(tmp_path / "other", datetime.now(UTC))
    async with Client(kubeconfig(tmp_path, other, tls_api), "fedward-hub", meter) as client:
        with pytest.raises(UnavailableError):
            await client.get(POD, "x", "y")

    assert tls_api.requests == []
