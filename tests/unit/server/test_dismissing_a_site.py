"""A site that the federation has revoked is out of a running job at once: its streams, its update, its way back."""

from __future__ import annotations

import asyncio

import grpc
import numpy as np
import pytest
from aggregator_bench import FEDERATION, PLAN, REF, SITES, UID, Bench, HandClock, SiteClient, update

from fedward_protocol import refusals, tls
from fedward_protocol.identity import Identity
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.file import read_tensors
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub
from fedward_server import events, service
from fedward_server.admission import Submission, check_open
from fedward_server.rounds.state import Phase, apply, begin


async def dismiss(bench, *sites, identity=None, uid=UID):
    async with bench.channel(identity or Identity(FEDERATION, "hub")) as channel:
        request = pb.DismissRequest(job=pb.JobRef(uid=uid, attempt=1), sites=sites)
        return await FederationStub(channel).Dismiss(request, timeout=10)


async def refused(call):
    """Return the reason with which a call ends."""
    try:
        async with asyncio.timeout(10):
            while await call.read() is not grpc.aio.EOF:
                pass
    except grpc.aio.AioRpcError as ended:
        return refusals.from_rpc_error(ended).reason
    raise AssertionError("the call ended well")


async def begin_upload(site, train, data):
    call = site.stub.SubmitUpdate()
    await call.write(pb.UpdatePart(header=site.header(train, data)))
    assert (await call.read()).WhichOneof("body") == "resume_from"
    return call


async def test_a_dismissed_sites_streams_end_with_the_reason_however_silent_it_is(bench, sites, tmp_path):
    train, data = await sites[1].told("train"), update(tmp_path)
    uploading = await begin_upload(sites[1], train, data)
    await dismiss(bench, "north")
    assert await refused(uploading) is Reason.SITE_REVOKED
    assert (await sites[1].told("abort")).reason == Reason.SITE_REVOKED
    assert await sites[1].stream.read() is grpc.aio.EOF
    assert (await sites[0].told("train")).round == 1


async def test_a_download_that_nobody_reads_ends_and_frees_its_place(bench, sites):
    train = await sites[1].told("train")
    request = pb.FetchModelRequest(job=REF, digest=train.model.digest)
    # Windows so small that the first chunk cannot be sent to its end.
    options = (*tls.CHANNEL_OPTIONS, ("grpc.http2.lookahead_bytes", 1 << 10), ("grpc.http2.bdp_probe", 0))
    async with bench.channel(Identity(FEDERATION, "site", "north"), options=options) as channel:
        stub = FederationStub(channel)
        unread = [stub.FetchModel(request) for _ in range(service.TRANSFERS)]
        for call in unread:
            await call.initial_metadata()
        await dismiss(bench, "north")
        assert await asyncio.wait_for(sites[0].fetch(train.model), 10)


async def test_every_later_call_of_a_dismissed_site_is_refused(bench, sites, tmp_path):
    train, data = await sites[1].told("train"), update(tmp_path)
    await dismiss(bench, "north")
    async with SiteClient(bench, "north") as again:
        with pytest.raises(grpc.aio.AioRpcError) as attending:
            await again.attend()
        assert attending.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert refusals.from_rpc_error(attending.value).reason is Reason.SITE_REVOKED
        submitting = again.stub.SubmitUpdate()
        await submitting.write(pb.UpdatePart(header=again.header(train, data)))
        assert await refused(submitting) is Reason.SITE_REVOKED
        fetching = again.stub.FetchModel(pb.FetchModelRequest(job=REF, digest=train.model.digest))
        assert await refused(fetching) is Reason.SITE_REVOKED
    assert bench.job.attendance.of("north").refusals == 3


async def test_an_acknowledged_update_is_left_out_of_the_open_round_and_its_receipt_is_not_given_again(
    bench, sites, tmp_path
):
    trains = [await site.told("train") for site in sites]
    poisoned, data = update(tmp_path, 100.0), update(tmp_path)
    header = sites[1].header(trains[1], poisoned)
    assert (await sites[1].submit(header, poisoned)).WhichOneof("body") == "receipt"
    await dismiss(bench, "north")
    assert bench.job.state.arrivals == {}
    again = sites[1].stub.SubmitUpdate()
    await again.write(pb.UpdatePart(header=header))
    assert await refused(again) is Reason.SITE_REVOKED
    for site, train in ((sites[0], trains[0]), (sites[2], trains[2])):
        await site.submit(site.header(train, data), data)
    following = await sites[0].told("train")
    assert following.round == 2, "the round does not wait for the site"
    (tmp_path / "next").write_bytes(await sites[0].fetch(following.model))
    assert np.allclose(read_tensors(tmp_path / "next")["b"], 1.5)


async def test_the_job_fails_when_too_few_sites_are_left_and_the_dismissed_ones_are_not_told_why(bench, sites):
    await dismiss(bench, "north", "south")
    assert (await sites[0].told("abort")).reason == Reason.QUORUM_LOST
    assert (await sites[1].told("abort")).reason == Reason.SITE_REVOKED
    assert bench.job.state.phase is Phase.FAILED


async def test_a_dismissal_outlives_a_restart_and_a_higher_attempt(tmp_path, initial):
    bench = Bench(tmp_path, HandClock())
    async with bench.running():
        await dismiss(bench, "north")
    for attempt in (1, 2):
        async with bench.running(attempt), SiteClient(bench, "north") as north:
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await north.attend(attempt=attempt)
            assert refusals.from_rpc_error(ended.value).reason is Reason.SITE_REVOKED


async def test_a_dismissal_said_twice_is_written_down_once(bench):
    await dismiss(bench, "north")
    await dismiss(bench, "north", "east")
    _, history = await bench.job.journal.read()
    assert [event.site for event in history if isinstance(event, events.SiteDismissed)] == ["north", "east"]


@pytest.mark.parametrize(
    ("sites", "changes", "reason"),
    [
        (("north",), {"identity": Identity(FEDERATION, "site", "east")}, Reason.IDENTITY_MISMATCH),
        (("north",), {"identity": Identity(FEDERATION, "job", UID)}, Reason.IDENTITY_MISMATCH),
        (("north",), {"uid": "another-job"}, Reason.JOB_UNKNOWN),
        (("north", "west"), {}, Reason.SITE_NOT_IN_PLAN),
    ],
    ids=["a site", "a job", "another job's hub", "a site that is not the job's"],
)
async def test_nobody_but_the_hub_dismisses_and_only_sites_of_the_job(bench, sites, changes, reason):
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await dismiss(bench, *sites, **changes)
    assert refusals.from_rpc_error(ended.value).reason is reason
    assert bench.job.state.dismissed_sites == frozenset()


async def test_the_hub_sees_that_a_site_is_revoked(bench, sites):
    await dismiss(bench, "north")
    async with bench.channel(Identity(FEDERATION, "hub")) as channel:
        observing = FederationStub(channel).Observe(pb.ObserveRequest(job=REF))
        said = (await observing.read()).status
        observing.cancel()
    assert {site.name: (site.state, site.reason) for site in said.sites if site.reason} == {
        "north": ("Failed", Reason.SITE_REVOKED)
    }
    assert [site.name for site in said.sites] == list(SITES)


async def test_a_site_cannot_say_itself_that_it_was_revoked_to_be_spared_the_dismissal(bench, sites):
    failure = pb.Refusal(reason=Reason.SITE_REVOKED, message="leave me alone")
    await sites[1].stream.write(pb.SiteMessage(failure=failure))
    await bench.until(lambda state: state.sites["north"].reason_gone is not None)
    assert bench.job.state.sites["north"].reason_gone is Reason.TRAINING_FAILED


def test_an_update_that_came_in_while_its_site_was_dismissed_is_not_written_down():
    state = apply(begin(PLAN), events.SiteDismissed(at=0, site="north"))
    header = pb.UpdateHeader(job=pb.JobRef(uid=UID, attempt=0), site="north", round=1)
    with pytest.raises(RefusedError) as refusal:
        check_open(Submission(header, Identity(FEDERATION, "site", "north"), state, largest=1))
    assert refusal.value.reason is Reason.SITE_REVOKED
