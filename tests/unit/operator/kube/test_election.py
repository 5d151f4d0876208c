"""One of several operators acts, whatever happens to it, to the API server and to the clocks."""

from __future__ import annotations

import asyncio
import copy
import random
from datetime import UTC, datetime, timedelta

import pytest
from hand_loop import in_no_time
from hypothesis import event, given, settings
from hypothesis import strategies as st

from fedward_operator.kube.election import DURATION_S, GIVE_UP_S, Election, LostError
from fedward_operator.kube.errors import ApiError, UnavailableError
from fedward_operator.kube.kinds import LEASE

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


class ApiServer:
    """Keeps one Lease, by versions."""

    def __init__(self):
        self.lease, self.version = None, 0

    def write(self, manifest):
        self.version += 1
        self.lease = copy.deepcopy(manifest)
        self.lease["metadata"] = {**self.lease["metadata"], "resourceVersion": str(self.version)}
        return copy.deepcopy(self.lease)

    @property
    def spec(self):
        return self.lease["spec"]


class LeaseClient:
    """One operator's connection, which may be slow, refuse, hang, or lose the answer to what was done."""

    def __init__(self, server, latency=0.0):
        self.server, self.latency, self.trouble = server, latency, None

    async def get(self, kind, namespace, name):
        assert (kind, namespace, name) == (LEASE, "fedward", "operator")
        return await self._call(self._get)

    async def create(self, kind, manifest):
        return await self._call(self._create, manifest)

    async def replace(self, kind, manifest):
        return await self._call(self._replace, manifest)

    async def _call(self, act, *arguments):
        latency = self.latency() if callable(self.latency) else self.latency
        # What is on its way arrives, also when nobody waits for the answer any more.
        found = await asyncio.shield(asyncio.ensure_future(self._arrive(latency / 2, act, arguments)))
        if isinstance(found, Exception):
            raise found
        if self.trouble == "loses answers":
            await asyncio.sleep(1e9)
        await asyncio.sleep(latency / 2)
        return found

    async def _arrive(self, seconds, act, arguments):
        await asyncio.sleep(seconds)
        match self.trouble:
            case "hangs":
                await asyncio.sleep(1e9)
            case "unavailable":
                return UnavailableError("connection refused")
            case "refuses":
                return ApiError(503, "ServiceUnavailable", "")
        try:
            return act(*arguments)
        except ApiError as error:
            return error

    def _get(self):
        if self.server.lease is None:
            raise ApiError(404, "NotFound", "")
        return copy.deepcopy(self.server.lease)

    def _create(self, manifest):
        if self.server.lease is not None:
            raise ApiError(409, "AlreadyExists", "")
        return self.server.write(manifest)

    def _replace(self, manifest):
        if self.server.lease is None:
            raise ApiError(404, "NotFound", "")
        if manifest["metadata"].get("resourceVersion") != self.server.lease["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "")
        return self.server.write(manifest)


def candidate(server, me, *, skew=timedelta(0), latency=0.0, seed=0):
    loop = asyncio.get_running_loop()
    client = LeaseClient(server, latency)
    now = lambda: EPOCH + timedelta(seconds=loop.time()) + skew  # noqa: E731
    return Election(client, "fedward", "operator", me, random.Random(f"{me} {seed}"), now), client


async def time_of(act):
    """Wait for something; say when it was over, and how."""
    try:
        await act
    except LostError as error:
        return asyncio.get_running_loop().time(), error
    return asyncio.get_running_loop().time(), None


@pytest.fixture
def server():
    return ApiServer()


@in_no_time
async def test_one_wins_and_the_others_wait_as_long_as_it_holds(server):
    elections = {me: candidate(server, me, seed=3)[0] for me in "abc"}
    winning = {me: asyncio.create_task(election.win()) for me, election in elections.items()}
    await asyncio.sleep(1)

    (winner,) = [me for me, task in winning.items() if task.done()]
    holding = asyncio.create_task(elections[winner].hold())
    await asyncio.sleep(3600)

    assert not holding.done()
    assert [me for me, task in winning.items() if task.done()] == [winner]
    assert [me for me, election in elections.items() if election.is_won] == [winner]
    assert server.spec["holderIdentity"] == winner
    assert server.spec["leaseTransitions"] == 0
    assert server.spec["acquireTime"] < server.spec["renewTime"]


@in_no_time
async def test_two_that_create_it_at_the_same_instant_do_not_both_win(server):
    elections = [candidate(server, me, latency=0.5)[0] for me in "ab"]

    assert sorted(await asyncio.gather(*(election._try() for election in elections))) == [False, True]


@pytest.mark.parametrize("skew_h", [-48, 0, 48])
@settings(deadline=None, max_examples=30)
@given(dies_after=st.floats(0, 30), latency=st.floats(0, 0.5), seed=st.integers(0, 1000))
@in_no_time
async def test_a_standby_takes_over_within_15_seconds_whatever_its_clock_says(skew_h, dies_after, latency, seed):
    server = ApiServer()
    first, _ = candidate(server, "first", seed=seed)
    await first.win()
    holding = asyncio.create_task(first.hold())
    second, _ = candidate(server, "second", skew=timedelta(hours=skew_h), latency=latency, seed=seed)
    winning = asyncio.create_task(time_of(second.win()))
    await asyncio.sleep(dies_after)
    assert not winning.done()

    holding.cancel()
    died = asyncio.get_running_loop().time()
    won, _ = await winning

    assert won - died <= 15
    assert server.spec["holderIdentity"] == "second"
    assert server.spec["leaseTransitions"] == 1


@pytest.mark.parametrize("skew_h", [-48, 48])
@settings(deadline=None, max_examples=50)
@given(
    trouble=st.sampled_from(["unavailable", "refuses", "hangs", "loses answers"]),
    starts=st.floats(0, 20),
    latency=st.floats(0, 1.2),
    seed=st.integers(0, 1000),
)
@in_no_time
async def test_who_cannot_renew_stops_before_another_can_begin(skew_h, trouble, starts, latency, seed):
    server = ApiServer()
    first, connection = candidate(server, "first", skew=timedelta(hours=skew_h), latency=latency, seed=seed)
    await first.win()
    holding = asyncio.create_task(time_of(first.hold()))
    second, _ = candidate(server, "second", seed=seed)
    winning = asyncio.create_task(time_of(second.win()))
    await asyncio.sleep(starts)
    assert not winning.done()
    assert not holding.done()

    connection.trouble = trouble
    began = asyncio.get_running_loop().time()
    (lost, error), (won, _) = await asyncio.gather(holding, winning)

    assert isinstance(error, LostError)
    assert lost + 1 < won
    assert won - began <= 20 + latency


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), slowest=st.floats(0, 60), outages=st.booleans())
@in_no_time
async def test_two_never_act_at_once_however_slow_and_broken_their_connections_are(seed, slowest, outages):
    server, loop, acting, terms = ApiServer(), asyncio.get_running_loop(), set(), []
    chance = random.Random(seed)

    def latency():
        return chance.choice([0.05, 0.05, 0.5, chance.uniform(0, slowest)])

    async def operate(me):
        while True:
            election, connection = candidate(server, me, latency=latency, seed=seed)
            connections.append(connection)
            await election.win()
            acting.add(me)
            terms.append((loop.time(), me))
            assert acting == {me}
            try:
                await election.hold()
            except LostError:
                acting.discard(me)

    connections = []
    operating = [asyncio.create_task(operate(me)) for me in "abc"]
    for _ in range(50):
        await asyncio.sleep(chance.uniform(0, 20))
        for connection in connections[-3:]:
            connection.trouble = (
                chance.choice([None, None, "unavailable", "hangs", "loses answers"]) if outages else None
            )
        for task in operating:
            if task.done():
                task.result()
    for task in operating:
        task.cancel()
    event(f"{min(len(terms), 5)} terms or more")


@settings(deadline=None, max_examples=50)
@given(starts=st.floats(0, 10), lasts=st.floats(0, GIVE_UP_S - 2 - 2.5))
@in_no_time
async def test_a_short_outage_is_held_through(starts, lasts):
    server = ApiServer()
    election, connection = candidate(server, "first")
    await election.win()
    holding = asyncio.create_task(election.hold())
    await asyncio.sleep(starts)
    connection.trouble = "unavailable"
    await asyncio.sleep(lasts)
    connection.trouble = None
    await asyncio.sleep(60)

    assert not holding.done()
    holding.cancel()


@in_no_time
async def test_who_sees_that_another_holds_it_stops_at_once(server):
    election, _ = candidate(server, "first")
    await election.win()
    holding = asyncio.create_task(time_of(election.hold()))
    await asyncio.sleep(5)
    server.write({**server.lease, "spec": {**server.spec, "holderIdentity": "somebody"}})
    began = asyncio.get_running_loop().time()

    lost, error = await holding

    assert isinstance(error, LostError)
    assert lost - began <= 2
    assert server.spec["holderIdentity"] == "somebody"


@in_no_time
async def test_a_conflict_while_renewing_is_no_loss(server):
    election, _ = candidate(server, "first")
    await election.win()
    holding = asyncio.create_task(election.hold())
    for _ in range(100):
        await asyncio.sleep(1.5)
        server.write({**server.lease, "metadata": {**server.lease["metadata"], "labels": {"touched": "yes"}}})

    assert not holding.done()
    assert server.lease["metadata"]["labels"] == {"touched": "yes"}
    holding.cancel()


@in_no_time
async def test_what_is_released_is_taken_at_the_next_look(server):
    first, _ = candidate(server, "first")
    await first.win()
    second, _ = candidate(server, "second")
    winning = asyncio.create_task(time_of(second.win()))
    await asyncio.sleep(5)

    await first.release()
    released = asyncio.get_running_loop().time()
    won, _ = await winning

    assert won - released <= 2
    assert server.spec["holderIdentity"] == "second"
    assert server.spec["leaseDurationSeconds"] == DURATION_S


@in_no_time
async def test_only_the_holder_can_release(server):
    first, _ = candidate(server, "first")
    await first.win()
    second, _ = candidate(server, "second")

    await second.release()

    assert server.spec["holderIdentity"] == "first"


@pytest.mark.parametrize("trouble", ["unavailable", "refuses"])
@in_no_time
async def test_releasing_while_the_api_server_is_away_hurts_nobody(server, trouble):
    first, connection = candidate(server, "first")
    await first.win()
    connection.trouble = trouble

    await first.release()

    assert server.spec["holderIdentity"] == "first"


@pytest.mark.parametrize("spec", [{}, None, {"holderIdentity": None}, {"holderIdentity": ""}])
@in_no_time
async def test_a_lease_that_nobody_holds_is_taken(server, spec):
    server.write({"metadata": {"namespace": "fedward", "name": "operator"}, "spec": spec})
    if spec is None:
        del server.lease["spec"]
    election, _ = candidate(server, "first")

    await asyncio.wait_for(election.win(), 1)

    assert server.spec["holderIdentity"] == "first"


@in_no_time
async def test_who_was_restarted_under_its_own_name_goes_on_at_once(server):
    before, _ = candidate(server, "first")
    await before.win()
    acquired = server.spec["acquireTime"]
    await asyncio.sleep(1)
    after, _ = candidate(server, "first")

    await asyncio.wait_for(after.win(), 1)

    assert (server.spec["acquireTime"], server.spec["leaseTransitions"]) == (acquired, 0)
