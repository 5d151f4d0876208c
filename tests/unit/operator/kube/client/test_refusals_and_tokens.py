"""What becomes of an API server's refusals, and the token that is shown to it."""

from __future__ import annotations

import asyncio
import traceback

import pytest
from aiohttp import web
from tests.unit.operator.kube.client.api_server import (
    JOB_MANIFEST,
    access,
    all_of,
    refusal,
    streaming,
)

from fedward_operator.kube import client as module
from fedward_operator.kube.access import AccessError
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError, UnavailableError
from fedward_operator.kube.kinds import JOB, POD


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
