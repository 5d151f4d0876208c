"""A watch, however its stream is cut, and whatever ends it."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from hand_loop import in_no_time
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.operator.kube.client.api_server import (
    all_of,
    event,
    line,
    refusal,
    streaming,
)

from fedward_operator.kube import client as module
from fedward_operator.kube.errors import ApiError, ExpiredError, UnavailableError
from fedward_operator.kube.kinds import POD


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
