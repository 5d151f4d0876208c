"""Following a collection whatever the API server does; an hour's outage takes a moment here."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hand_loop import in_no_time, turns
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.operator.kube.collection import WATCH_S, Collection, during, following

from fedward_operator.kube import informer as module
from fedward_operator.kube.errors import ApiError, ExpiredError, UnavailableError
from fedward_operator.kube.informer import LONGEST_TURN_S


@in_no_time
async def test_a_list_that_expires_between_two_pages_is_begun_again():
    source, expired = Collection(), iter([True])
    source.put(*"abcde")

    async def expire(page):
        if page == 1 and next(expired, False):
            source.delete("a")
            raise ApiError(410, "Expired", "the provided continue parameter is too old")

    source.before_page = expire
    async with following(source) as found:
        await turns()
        assert not found.informer.synced.is_set()

        await asyncio.sleep(1)
        assert found.informer.synced.is_set()
        assert found.agrees()
        assert found.meter.told == [("pods", "410")]


@pytest.mark.parametrize(
    ("expired", "cause"),
    [(ExpiredError("too old"), "expired"), (ApiError(410, "Expired", "too old"), "410")],
    ids=["in an event", "as an answer"],
)
@in_no_time
async def test_after_a_gap_it_lists_again_and_tells_of_what_went_meanwhile(expired, cause):
    source = Collection()
    source.expired = expired
    source.put("kept", "gone", "changed")
    async with following(source) as found:
        await found.informer.synced.wait()
        await turns()
        found.told.clear()
        source.fault = during(0, 30, UnavailableError("connection refused"))
        source.put("other")  # the watch hears this, and that it is broken
        await asyncio.sleep(1)
        source.delete("gone")
        source.put("changed", "new")
        source.forget()
        await asyncio.sleep(60)

        assert found.agrees()
        assert sorted(set(found.told)) == ["changed", "gone", "new", "other"]
        assert ("pods", cause) in found.meter.told


@pytest.mark.parametrize(
    "error",
    [
        ApiError(403, "Forbidden", "pods is forbidden"),
        ApiError(401, "Unauthorized", "Unauthorized"),
        ApiError(429, "TooManyRequests", "wait", 1.0),
        ApiError(500, "InternalError", "etcd leader changed"),
        ApiError(503, "ServiceUnavailable", "apiserver not ready"),
        ApiError(0, "", "an ERROR event that says nothing"),
        UnavailableError("connection refused"),
    ],
    ids=str,
)
@pytest.mark.parametrize("begins_after", [0, 100], ids=["from the start", "after a while"])
@in_no_time
async def test_an_hour_of_failure_is_got_over_without_asking_too_often(error, begins_after):
    source = Collection()
    source.put("a", "b", "c")
    source.fault = during(begins_after, begins_after + 3600, error)
    async with following(source) as found:
        await asyncio.sleep(begins_after + 1)
        source.delete("a")
        source.put("d")
        await asyncio.sleep(3598)
        assert len(source.calls) < 3600 / 7.5 + 20

        await asyncio.sleep(1 + 16)
        assert found.informer.synced.is_set()
        assert found.agrees()


@in_no_time
async def test_after_a_failure_that_is_over_it_is_as_quick_as_before():
    source = Collection()
    source.put("a")
    async with following(source) as found:
        source.fault = during(0, 600, ApiError(503, "", ""))
        await asyncio.sleep(700)
        source.fault = during(0, 0.1, ApiError(503, "", ""))
        source.put("b")
        await asyncio.sleep(0.05)
        source.put("c")
        await asyncio.sleep(1)

        assert found.agrees()


@pytest.mark.parametrize(("asked", "kept"), [(10, 10), (3600, 15)], ids=["as asked", "but not for ever"])
@in_no_time
async def test_it_waits_as_long_as_it_is_asked_to(asked, kept):
    source = Collection()
    source.fault = lambda _: ApiError(429, "TooManyRequests", "wait", float(asked)) if len(source.calls) < 3 else None
    async with following(source) as found:
        await found.informer.synced.wait()

        times = [time for _, time in source.calls]
        assert [later - earlier for earlier, later in pairwise(times[:3])] == [pytest.approx(kept)] * 2


@pytest.mark.parametrize(
    "ending", [None, ExpiredError("too old"), ApiError(410, "Expired", "too old")], ids=["a word", "expired", "410"]
)
@in_no_time
async def test_a_watch_that_always_ends_at_once_is_not_asked_for_over_and_over(ending):
    source = Collection()

    async def watch(kind, namespace, selector, version):
        source.calls.append(("watch", asyncio.get_running_loop().time()))
        if ending is not None:
            raise ending
        return
        yield

    source.watch = watch
    async with following(source) as found:
        await asyncio.sleep(600)

        assert found.informer.synced.is_set()
        assert len(source.calls) < 2 * (600 / 7.5 + 20)


@pytest.mark.parametrize("error", [None, ApiError(503, "", ""), ApiError(429, "", "", 999.0)], ids=str)
@in_no_time
async def test_a_healthy_informer_has_its_turn_more_often_than_liveness_asks_for(error):
    loop = asyncio.get_running_loop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", SimpleNamespace(monotonic=loop.time))
        source = Collection()
        source.fault = lambda _: error
        async with following(source) as found:
            turns_seen = set()
            for _ in range(2000):
                await asyncio.sleep(1)
                turns_seen.add(found.informer.last_turn)
                assert loop.time() - found.informer.last_turn < LONGEST_TURN_S
            assert len(turns_seen) > 10


@in_no_time
async def test_a_watch_that_hangs_shows_in_its_last_turn():
    loop = asyncio.get_running_loop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", SimpleNamespace(monotonic=loop.time))
        source = Collection()

        async def hang(kind, namespace, selector, version):
            await asyncio.sleep(1e6)
            yield

        source.watch = hang
        async with following(source) as found:
            await asyncio.sleep(500)

            assert loop.time() - found.informer.last_turn >= LONGEST_TURN_S


FAULTS = st.sampled_from(
    [None, None, ApiError(410, "Expired", ""), ApiError(503, "", ""), UnavailableError(""), ExpiredError("")]
)
HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(["put", "delete", "forget", "fault"]), st.sampled_from("abcde"), FAULTS, st.floats(0, 40)
    ),
    max_size=25,
)


@settings(deadline=None)
@given(HAPPENINGS)
@in_no_time
async def test_whatever_happens_the_cache_is_the_collection_in_the_end(happenings):
    source = Collection()
    async with following(source) as found:
        for what, name, fault, seconds in happenings:
            match what:
                case "put":
                    source.put(name)
                case "delete" if name in source.there:
                    source.delete(name)
                case "forget":
                    source.forget()
                case "fault":
                    source.fault = lambda verb, fault=fault: fault
            await asyncio.sleep(seconds)
        source.fault = lambda _: None
        await asyncio.sleep(16 + WATCH_S)

        assert found.informer.synced.is_set()
        assert found.agrees()
