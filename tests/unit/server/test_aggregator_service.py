"""The aggregator's calls over real mutual TLS, each thing it refuses with its reason, and what it survives."""

from __future__ import annotations

import hashlib

import grpc
import numpy as np
import pytest
from aggregator_bench import FEDERATION, REF, SITES, UID, Bench, HandClock, SiteClient, update

from fedward_protocol import refusals
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority
from fedward_protocol.reasons import Reason
from fedward_protocol.tensors.file import read_tensors, write_tensors
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub
from fedward_server.rounds.state import Phase


async def test_a_round_goes_from_fetch_to_the_next_model(bench, sites, tmp_path):
    trains = [await site.told("train") for site in sites]
    data = update(tmp_path)
    assert hashlib.sha256(await sites[0].fetch(trains[0].model)).digest() == trains[0].model.digest
    for site, train in zip(sites, trains, strict=True):
        reply = await site.submit(site.header(train, data), data)
        assert reply.receipt.digest == hashlib.sha256(data).digest()
    following = await sites[0].told("train")
    assert following.round == 2
    (tmp_path / "next").write_bytes(await sites[0].fetch(following.model))
    assert np.allclose(read_tensors(tmp_path / "next")["b"], 1.5)


async def test_the_same_update_twice_gets_the_same_receipt_without_its_bytes(bench, sites, tmp_path):
    train, data = await sites[1].told("train"), update(tmp_path)
    header = sites[1].header(train, data)
    first = await sites[1].submit(header, data)
    call = sites[1].stub.SubmitUpdate()
    await call.write(pb.UpdatePart(header=header))
    assert await call.read() == first


async def test_an_upload_that_broke_off_goes_on_where_it_ended(bench, sites, tmp_path):
    train, data = await sites[1].told("train"), update(tmp_path)
    header = sites[1].header(train, data)
    assert await sites[1].submit(header, data, stop_after=1 << 20) == 0
    call = sites[1].stub.SubmitUpdate()
    await call.write(pb.UpdatePart(header=header))
    assert (await call.read()).resume_from == 1 << 20
    call.cancel()
    reply = await sites[1].submit(header, data)
    assert reply.WhichOneof("body") == "receipt"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"job": pb.JobRef(uid=UID, attempt=0)}, Reason.OLD_ATTEMPT),
        ({"job": pb.JobRef(uid="another-job", attempt=1)}, Reason.JOB_UNKNOWN),
        ({"round": 2}, Reason.WRONG_ROUND),
        ({"round": 0}, Reason.WRONG_ROUND),
        ({"model_digest": bytes(32)}, Reason.WRONG_MODEL),
        ({"nbytes": 1 << 40}, Reason.TOO_LARGE),
        ({"samples": 5}, Reason.BAD_SAMPLE_COUNT),
        ({"samples": 0}, Reason.BAD_SAMPLE_COUNT),
        ({"digest": b"short"}, Reason.MALFORMED),
        ({"digest": bytes(32)}, Reason.WRONG_DIGEST),
    ],
)
async def test_a_header_that_lies_is_refused_and_the_round_goes_on(bench, sites, tmp_path, changes, reason):
    train, data = await sites[1].told("train"), update(tmp_path)
    reply = await sites[1].submit(sites[1].header(train, data, **changes), data)
    assert reply.refusal.reason == reason
    assert bench.sample("refusals_total", site=sites[1].name, reason=reason.value) == 1
    assert (await sites[1].submit(sites[1].header(train, data), data)).WhichOneof("body") == "receipt"


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"w": np.full((700, 700), np.nan, "f4"), "b": np.zeros(3, "f4")}, Reason.NOT_FINITE),
        ({"w": np.full((700, 700), np.inf, "f4"), "b": np.zeros(3, "f4")}, Reason.NOT_FINITE),
        ({"w": np.zeros((700, 699), "f4"), "b": np.zeros(3, "f4")}, Reason.WRONG_SHAPE),
        ({"w": np.zeros((700, 700), "f4")}, Reason.WRONG_SHAPE),
    ],
)
async def test_an_update_that_holds_rubbish_is_refused_and_a_sound_one_is_taken(
    bench, sites, tmp_path, tensors, reason
):
    train = await sites[1].told("train")
    bad, good = update(tmp_path, **tensors), update(tmp_path)
    assert (await sites[1].submit(sites[1].header(train, bad), bad)).refusal.reason == reason
    assert (await sites[1].submit(sites[1].header(train, good), good)).WhichOneof("body") == "receipt"


async def test_bytes_that_are_no_tensors_are_refused(bench, sites):
    train, data = await sites[1].told("train"), b"\xff" * 4096
    assert (await sites[1].submit(sites[1].header(train, data), data)).refusal.reason == Reason.MALFORMED


async def test_a_second_update_in_a_round_is_refused(bench, sites, tmp_path):
    train, data, other = await sites[1].told("train"), update(tmp_path), update(tmp_path, 0.25)
    await sites[1].submit(sites[1].header(train, data), data)
    reply = await sites[1].submit(sites[1].header(train, other), other)
    assert reply.refusal.reason == Reason.ALREADY_SUBMITTED


async def test_bad_metrics_are_refused(bench, sites, tmp_path):
    train, data = await sites[1].told("train"), update(tmp_path)
    header = sites[1].header(train, data)
    header.report.metrics["dice"].sum = float("nan")
    header.report.metrics["dice"].count = 1
    assert (await sites[1].submit(header, data)).refusal.reason == Reason.BAD_METRICS


async def test_a_site_that_falls_silent_is_lost_within_ten_seconds_and_the_round_closes_without_it(
    bench, sites, tmp_path
):
    trains, data = [await site.told("train") for site in sites], update(tmp_path)
    for site, train in list(zip(sites, trains, strict=True))[:2]:
        await site.submit(site.header(train, data), data)
    await bench.clock.advance(7.9)
    for site in sites[:2]:
        await site.heartbeat()
    await bench.clock.advance(0.2)
    await bench.until(lambda _: bench.job.attendance.of("south").away_since is not None)
    assert bench.job.state.round == 1
    await bench.clock.advance(7)
    for site in sites[:2]:
        await site.heartbeat()
    await bench.clock.advance(3.1)
    await bench.until(lambda state: state.round == 2)
    late = await sites[2].submit(sites[2].header(trains[2], data), data)
    assert late.refusal.reason == Reason.ROUND_CLOSED
    back = SiteClient(bench, "south")
    assert (await back.attend()).WhichOneof("body") == "welcome"
    assert (await back.told("train")).round == 2
    await back.channel.close()


async def test_a_restarted_aggregator_goes_on_inside_its_round_with_what_had_arrived(tmp_path):
    write_tensors(tmp_path / "initial.safetensors", {"w": np.zeros((700, 700), "f4"), "b": np.ones(3, "f4")})
    bench, data = Bench(tmp_path, HandClock()), update(tmp_path)
    async with bench.running():
        await bench.until(lambda state: state.latest is not None)
        clients = [SiteClient(bench, name) for name in SITES]
        for client in clients:
            await client.attend()
        train = await clients[0].told("train")
        header = clients[0].header(train, data)
        receipt = await clients[0].submit(header, data)
        await clients[1].submit(clients[1].header(train, data), data, stop_after=1 << 20)
        for client in clients:
            await client.channel.close()
    async with bench.running():
        assert list(bench.job.state.arrivals) == ["east"]
        async with SiteClient(bench, "east") as east, SiteClient(bench, "north") as north:
            assert await east.submit(header, data) == receipt
            call = north.stub.SubmitUpdate()
            await call.write(pb.UpdatePart(header=north.header(train, data)))
            assert (await call.read()).resume_from == 1 << 20
            call.cancel()


async def test_a_higher_attempt_fences_off_the_one_before(tmp_path):
    write_tensors(tmp_path / "initial.safetensors", {"w": np.zeros((700, 700), "f4"), "b": np.ones(3, "f4")})
    bench = Bench(tmp_path, HandClock())
    async with bench.running():
        await bench.until(lambda state: state.latest is not None)
    async with bench.running(attempt=2), SiteClient(bench) as north:
        message = await north.attend(attempt=1)
        assert message.abort.reason == Reason.OLD_ATTEMPT


async def test_a_job_that_loses_its_quorum_for_good_fails_and_says_which_sites_failed(bench, sites):
    for site in sites[:2]:
        await site.told("train")
        failure = pb.Refusal(reason=Reason.DATASET_EMPTY, message="no case")
        await site.stream.write(pb.SiteMessage(failure=failure))
    abort = await sites[2].told("abort")
    assert abort.reason == Reason.QUORUM_LOST
    assert "DatasetEmpty" in abort.message
    assert bench.job.state.phase is Phase.FAILED


@pytest.mark.parametrize(
    ("identity", "site", "code", "reason"),
    [
        (Identity(FEDERATION, "site", "east"), "north", grpc.StatusCode.PERMISSION_DENIED, Reason.IDENTITY_MISMATCH),
        (Identity(FEDERATION, "hub", ""), "north", grpc.StatusCode.PERMISSION_DENIED, Reason.IDENTITY_MISMATCH),
        (Identity(FEDERATION, "site", "west"), "west", grpc.StatusCode.PERMISSION_DENIED, Reason.SITE_NOT_IN_PLAN),
    ],
)
async def test_nobody_attends_as_another_site(bench, identity, site, code, reason):
    async with SiteClient(bench) as client:
        client.stub = FederationStub(bench.channel(identity))
        stream = client.stub.Attend()
        await stream.write(pb.SiteMessage(hello=pb.Hello(job=REF, site=site)))
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await stream.read()
        assert ended.value.code() is code
        assert refusals.from_rpc_error(ended.value).reason is reason


async def test_a_certificate_of_another_authority_opens_no_connection(bench):
    foreign = Authority.create(FEDERATION, bench.now)
    async with bench.channel(Identity(FEDERATION, "site", "north"), foreign) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await FederationStub(channel).Attend().read()
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_site_cannot_observe_and_the_hub_reads_history_and_status(bench, sites, tmp_path):
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await sites[0].stub.Observe(pb.ObserveRequest(job=REF)).read()
    assert ended.value.code() is grpc.StatusCode.PERMISSION_DENIED
    data = update(tmp_path)
    for site in sites:
        train = await site.told("train")
        await site.submit(site.header(train, data), data)
    await bench.until(lambda state: state.round == 2)
    async with bench.channel(Identity(FEDERATION, "hub", "")) as channel:
        observing = FederationStub(channel).Observe(pb.ObserveRequest(job=REF))
        seen = [await observing.read() for _ in range(5)]
        observing.cancel()
    assert [entry.WhichOneof("body") for entry in seen] == ["site_round"] * 3 + ["round_closed", "status"]
    assert [entry.site_round.site for entry in seen[:3]] == list(SITES)
    assert sum(entry.site_round.weight for entry in seen[:3]) == pytest.approx(1)
    assert seen[4].status.state == "Training"
    assert seen[4].status.round == 2


async def test_a_jobs_observer_may_watch_that_job_and_do_nothing_else(bench, sites):
    async with bench.channel(Identity(FEDERATION, "observer", bench.job.plan.job.uid)) as channel:
        stub = FederationStub(channel)
        assert (await stub.Observe(pb.ObserveRequest(job=REF)).read()).WhichOneof("body") == "status"
        for call in (stub.FetchModel(pb.FetchModelRequest(job=REF)).read(), stub.Dismiss(pb.DismissRequest(job=REF))):
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await call
            assert ended.value.code() is grpc.StatusCode.PERMISSION_DENIED
        attending = stub.Attend()
        await attending.write(pb.SiteMessage(hello=pb.Hello(job=REF, site=SITES[0])))
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await attending.read()
        assert ended.value.code() is grpc.StatusCode.PERMISSION_DENIED
        submitting = stub.SubmitUpdate()
        await submitting.write(pb.UpdatePart(header=pb.UpdateHeader(job=REF, site=SITES[0], round=1)))
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await submitting.read()
        assert ended.value.code() is grpc.StatusCode.PERMISSION_DENIED
    async with bench.channel(Identity(FEDERATION, "observer", "another-job")) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await FederationStub(channel).Observe(pb.ObserveRequest(job=REF)).read()
        assert ended.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_protocol_versions_that_do_not_meet_are_refused(bench):
    async with SiteClient(bench) as north:
        assert (await north.attend(versions=(7, 9))).abort.reason == Reason.VERSION_UNSUPPORTED
