"""Sites that stay silent, come late, send too much or are not who they say: each over real mutual TLS."""

from __future__ import annotations

import asyncio
import errno
from contextlib import AsyncExitStack
from datetime import timedelta

import grpc
import pytest
from aggregator_bench import FEDERATION, NAME, REF, SITES, Bench, HandClock, SiteClient, update

from fedward_protocol import refusals, tls
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority
from fedward_protocol.reasons import Reason
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub
from fedward_server.rounds.state import Phase
from fedward_server.spool import Disk

MIB = 1 << 20
NORTH = Identity(FEDERATION, "site", "north")


class FullDisk(Disk):
    """Takes `room` bytes and no more, though its file system says that there is space."""

    def __init__(self, room):
        self.room = room

    def write(self, fd, data, offset):
        if offset + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(fd, data, offset)


async def pass_time(bench, sites, seconds):
    """Let time pass, with heartbeats of these sites."""
    while seconds > 0:
        await bench.clock.advance(min(5, seconds))
        seconds -= 5
        for site in sites:
            await site.heartbeat()


async def deliver(site, train, data):
    return await site.submit(site.header(train, data), data)


# ---------------------------------------------------------------- too late


async def test_a_site_that_attends_and_never_answers_holds_a_round_up_until_deadline_and_grace_and_no_longer(
    bench, sites, tmp_path
):
    trains, data = [await site.told("train") for site in sites], update(tmp_path)
    for site, train in list(zip(sites, trains, strict=True))[:2]:
        await deliver(site, train, data)
    await pass_time(bench, sites, 100 + 9)
    assert bench.job.state.round == 1
    assert bench.job.attendance.of("south").away_since is None
    await pass_time(bench, sites, 2)
    await bench.until(lambda state: state.round == 2)
    assert (await deliver(sites[2], trains[2], data)).refusal.reason == Reason.ROUND_CLOSED
    assert (await sites[2].told("train")).round == 2


async def test_an_answer_after_the_deadline_counts_as_long_as_the_grace_lasts(bench, sites, tmp_path):
    trains, data = [await site.told("train") for site in sites], update(tmp_path)
    for site, train in list(zip(sites, trains, strict=True))[:2]:
        await deliver(site, train, data)
    await pass_time(bench, sites, 100 + 5)
    assert (await deliver(sites[2], trains[2], data)).WhichOneof("body") == "receipt"
    await bench.until(lambda state: state.round == 2)
    _, happened = await bench.job.journal.read()
    assert [event.site for event in happened if event.kind == "UpdateArrived"] == list(SITES)


async def test_a_job_starts_without_a_site_that_never_comes(bench, tmp_path):
    async with SiteClient(bench, "east") as east, SiteClient(bench, "north") as north:
        for site in (east, north):
            await site.attend()
        await pass_time(bench, (east, north), 99)
        assert bench.job.state.phase is Phase.WAITING
        await pass_time(bench, (east, north), 1)
        data = update(tmp_path)
        for site in (east, north):
            assert (await deliver(site, await site.told("train"), data)).WhichOneof("body") == "receipt"


# ---------------------------------------------------------------- too much


async def test_bytes_beyond_the_announced_length_are_refused_and_the_honest_update_is_taken(bench, sites, tmp_path):
    train, data = await sites[1].told("train"), update(tmp_path)
    call = sites[1].stub.SubmitUpdate()
    await call.write(pb.UpdatePart(header=sites[1].header(train, data, nbytes=len(data) - 1)))
    assert (await call.read()).resume_from == 0
    for start in range(0, len(data), MIB):
        await call.write(pb.UpdatePart(chunk=pb.Chunk(offset=start, data=data[start : start + MIB])))
    assert (await call.read()).refusal.reason == Reason.MALFORMED
    assert (await deliver(sites[1], train, data)).WhichOneof("body") == "receipt"


async def test_a_message_too_large_ends_its_call_alone(bench, sites, tmp_path):
    train, data = await sites[1].told("train"), update(tmp_path)
    async with bench.channel(NORTH, options=(("grpc.max_send_message_length", -1),)) as channel:
        call = FederationStub(channel).SubmitUpdate()
        await call.write(pb.UpdatePart(header=sites[1].header(train, data)))
        assert (await call.read()).resume_from == 0
        await call.write(pb.UpdatePart(chunk=pb.Chunk(offset=0, data=bytes(64 * MIB))))
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
    assert ended.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await deliver(sites[1], train, data)).WhichOneof("body") == "receipt"


async def test_a_full_disk_is_said_to_the_site_and_once_there_is_room_its_update_goes_on(tmp_path, initial):
    bench, data = Bench(tmp_path, HandClock()), update(tmp_path)
    bench.disk = FullDisk(MIB)
    async with bench.running(), AsyncExitStack() as attending:
        clients = [await attending.enter_async_context(SiteClient(bench, name)) for name in SITES]
        for client in clients:
            await client.attend()
        train = await clients[0].told("train")
        assert (await deliver(clients[0], train, data)).refusal.reason == Reason.STORAGE_FULL
        assert bench.sample("storage_full") == 1
        bench.disk.room = 1 << 40
        call = clients[0].stub.SubmitUpdate()
        await call.write(pb.UpdatePart(header=clients[0].header(train, data)))
        assert (await call.read()).resume_from == MIB
        call.cancel()
        for client in clients:
            assert (await deliver(client, train, data)).WhichOneof("body") == "receipt"
            assert bench.sample("storage_full") == 0
        await bench.until(lambda state: state.round == 2)


# ---------------------------------------------------------------- not who they say


async def attend(stub):
    call = stub.Attend()
    await call.write(pb.SiteMessage(hello=pb.Hello(job=REF, site="north")))
    await call.read()


async def fetch(stub):
    await stub.FetchModel(pb.FetchModelRequest(job=REF, digest=bytes(32))).read()


async def submit(stub):
    call = stub.SubmitUpdate()
    await call.write(pb.UpdatePart(header=pb.UpdateHeader(job=REF, site="north", round=1)))
    await call.read()


async def observe(stub):
    await stub.Observe(pb.ObserveRequest(job=REF)).read()


CALLS = pytest.mark.parametrize("call", [attend, fetch, submit, observe])


def without_certificate(bench):
    options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", NAME))
    credentials = tls.channel_credentials(bench.authority.ca_pem)
    return grpc.aio.secure_channel(f"127.0.0.1:{bench.port}", credentials, options=options)


STRANGERS = {
    "no certificate": without_certificate,
    "expired certificate": lambda bench: bench.channel(NORTH, lifetime=timedelta(minutes=-1)),
    "foreign certificate": lambda bench: bench.channel(NORTH, Authority.create(FEDERATION, bench.now)),
}


@CALLS
@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS.keys())
async def test_without_a_good_certificate_no_call_comes_through(bench, call, stranger):
    async with stranger(bench) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await asyncio.wait_for(call(FederationStub(channel)), 10)
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    assert refusals.from_rpc_error(ended.value) is None, "TLS ends it, before anything of ours is asked"


@CALLS
@pytest.mark.parametrize(
    ("identity", "reasons"),
    [
        (Identity(FEDERATION, "site", "west"), {Reason.IDENTITY_MISMATCH, Reason.SITE_NOT_IN_PLAN}),
        (Identity(FEDERATION, "job", "0123456789"), {Reason.IDENTITY_MISMATCH}),
    ],
    ids=["another site", "a job"],
)
async def test_a_certificate_of_this_federation_that_names_somebody_else_is_refused(bench, call, identity, reasons):
    async with bench.channel(identity) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await asyncio.wait_for(call(FederationStub(channel)), 10)
    assert ended.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert refusals.from_rpc_error(ended.value).reason in reasons


async def test_a_site_cannot_submit_in_anothers_name_even_while_that_one_attends(bench, sites, tmp_path):
    train, data = await sites[1].told("train"), update(tmp_path)
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await sites[0].submit(sites[0].header(train, data, site="north"), data)
    assert refusals.from_rpc_error(ended.value).reason is Reason.IDENTITY_MISMATCH
    assert bench.job.state.arrivals == {}
