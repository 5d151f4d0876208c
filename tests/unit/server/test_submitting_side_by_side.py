"""Updates whose streams overlap with each other, with a round's end or with a newer attempt."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from aggregator_bench import SITES, Bench, HandClock, SiteClient, update

from fedward_protocol.plan import Krum
from fedward_protocol.reasons import Reason
from fedward_protocol.wire import federation_pb2 as pb
from fedward_server import service
from fedward_server.rounds.state import Phase
from fedward_server.spool import Slot

MIB = 1 << 20


def chunks(data, start=0):
    for offset in range(start, len(data), MIB):
        yield pb.UpdatePart(chunk=pb.Chunk(offset=offset, data=data[offset : offset + MIB]))


async def announce(site, header):
    call = site.stub.SubmitUpdate()
    await call.write(pb.UpdatePart(header=header))
    return call


async def test_an_acknowledged_update_outlives_a_second_one_that_waited_for_its_place(bench, sites, tmp_path):
    train, first, second = await sites[1].told("train"), update(tmp_path), update(tmp_path, 0.25)
    stalled = [
        await announce(sites[2], sites[2].header(train, update(tmp_path, n))) for n in range(service.TRANSFERS - 1)
    ]
    for call in stalled:
        assert (await call.read()).WhichOneof("body") == "resume_from"
    taken = await announce(sites[1], sites[1].header(train, first))
    assert (await taken.read()).WhichOneof("body") == "resume_from"
    waiting = await announce(sites[1], sites[1].header(train, second))
    for part in chunks(first):
        await taken.write(part)
    assert (await taken.read()).WhichOneof("body") == "receipt"
    assert (await waiting.read()).refusal.reason == Reason.ALREADY_SUBMITTED
    assert bench.job.spool.path(Slot(1, 1, "north"), hashlib.sha256(first).digest()).exists()
    for call in stalled:
        call.cancel()


async def test_an_update_repeated_while_it_waited_for_a_place_gets_its_receipt_and_counts_once(bench, sites, tmp_path):
    train, data = await sites[1].told("train"), update(tmp_path)
    header = sites[1].header(train, data)
    others = [sites[2].header(train, update(tmp_path, number)) for number in range(service.TRANSFERS - 1)]
    stalled = [await announce(sites[2], other) for other in others]
    for call in stalled:
        assert (await call.read()).WhichOneof("body") == "resume_from"
    taken = await announce(sites[1], header)
    assert (await taken.read()).WhichOneof("body") == "resume_from"
    waiting = await announce(sites[1], header)
    for part in chunks(data):
        await taken.write(part)
    assert (await taken.read()).WhichOneof("body") == "receipt"
    assert (await waiting.read()).resume_from == len(data)
    last = await waiting.read()
    assert last.WhichOneof("body") == "receipt", last
    assert bench.sample("updates_total", site=sites[1].name) == 1
    for call in stalled:
        call.cancel()


async def test_the_same_update_on_two_streams_at_once_is_counted_once_and_never_refused_for_good(
    bench, sites, tmp_path
):
    train, data = await sites[1].told("train"), update(tmp_path)
    header = sites[1].header(train, data)
    replies = await asyncio.gather(*(sites[1].submit(header, data) for _ in range(4)), return_exceptions=True)
    refusals = {reply.refusal.reason for reply in replies if isinstance(reply, pb.UpdateReply) and reply.refusal.reason}
    assert refusals <= {Reason.WRONG_OFFSET}, "what a site that is cut off should try again for"
    assert (await sites[1].submit(header, data)).WhichOneof("body") == "receipt"
    _, happened = await bench.job.journal.read()
    assert [event.site for event in happened if event.kind == "UpdateArrived"] == ["north"]


async def test_an_update_of_an_attempt_that_is_over_gets_no_receipt_even_if_it_once_had_one(tmp_path, initial):
    bench, data = Bench(tmp_path, HandClock()), update(tmp_path)
    async with bench.running():
        await bench.until(lambda state: state.latest is not None)
        clients = [SiteClient(bench, name) for name in SITES]
        for client in clients:
            await client.attend()
        header = clients[0].header(await clients[0].told("train"), data)
        assert (await clients[0].submit(header, data)).WhichOneof("body") == "receipt"
        for client in clients:
            await client.channel.close()
    async with bench.running(attempt=2), SiteClient(bench, "east") as east:
        assert (await east.submit(header, data)).refusal.reason == Reason.OLD_ATTEMPT
        assert bench.job.state.arrivals == {}


async def test_a_straggler_in_the_middle_of_its_update_hears_that_the_round_has_closed(bench, sites, tmp_path):
    trains, data = [await site.told("train") for site in sites], update(tmp_path)
    call = await announce(sites[2], sites[2].header(trains[2], data))
    await call.read()
    await call.write(next(chunks(data)))
    for site, train in list(zip(sites, trains, strict=True))[:2]:
        await site.submit(site.header(train, data), data)
    sites[2].stream.cancel()
    await bench.until(lambda _: bench.job.attendance.of("south").away_since is not None)
    for seconds in (4, 6.5):
        await bench.clock.advance(seconds)
        for site in sites[:2]:
            await site.heartbeat()
    await bench.until(lambda state: state.round == 2)
    await call.write(next(chunks(data, MIB)))
    assert (await call.read()).refusal.reason == Reason.ROUND_CLOSED


async def test_a_part_without_bytes_ends_the_stream(bench, sites, tmp_path):
    call = await announce(sites[1], sites[1].header(await sites[1].told("train"), update(tmp_path)))
    await call.read()
    await call.write(pb.UpdatePart(chunk=pb.Chunk(offset=0)))
    assert (await asyncio.wait_for(call.read(), 5)).refusal.reason == Reason.MALFORMED


async def test_a_rule_that_needs_more_updates_than_the_quorum_fails_the_job_and_says_so(tmp_path, initial):
    bench = Bench(tmp_path, HandClock(), aggregation=Krum(algorithm="Krum", byzantine=1))
    async with bench.running():
        await bench.until(lambda state: state.phase is Phase.FAILED)
        assert bench.job.state.failure.reason is Reason.QUORUM_LOST


@pytest.mark.parametrize("observer_left", [False, True])
async def test_the_process_leaves_at_once_when_all_know_the_end_and_after_ten_seconds_anyhow(bench, observer_left):
    from fedward_server import main

    seen = service.Aggregator(bench.job)
    if observer_left:
        seen.was_seen_to_the_end.set()
    leaving = asyncio.create_task(main._linger(bench.job, seen))
    await asyncio.sleep(0)
    assert leaving.done() == observer_left
    await bench.clock.advance(main.LINGER_S)
    await asyncio.wait_for(leaving, 5)
