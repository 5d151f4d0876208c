"""How updates leave the hospital: recorded first, filtered where asked, or not at all."""

from __future__ import annotations

import asyncio
import hashlib

import grpc
import numpy as np
import pytest

from fedward_node.sending import send_update, submitter
from fedward_protocol import refusals
from fedward_protocol.plan import GaussianNoise, NormClip
from fedward_protocol.reasons import Reason, describe
from fedward_protocol.tensors.chunks import read_chunks
from fedward_protocol.tensors.layout import Layout
from fedward_protocol.tensors.pace import SMALLEST
from fedward_protocol.tensors.update import UpdateFile
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.work_order import Budget

NOISE = GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=4.0)


async def submit(site, update, header=None, compression="none", **order):
    call = submitter(site.channel())(metadata=site.metadata(**order))
    try:
        return await send_update(call, header or update.header, update.path, compression)
    finally:
        call.cancel()


async def submit_until_it_breaks(site, update):
    for _ in range(20):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await submit(site, update)
        # gRPC forgets what ended a call when that comes while a message is being written; a site then tries again too.
        if caught.value.code() is not grpc.StatusCode.INTERNAL:
            break
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    return refusals.from_rpc_error(caught.value).reason


def changed(header, **fields):
    other = pb.UpdateHeader()
    other.CopyFrom(header)
    other.MergeFrom(pb.UpdateHeader(**fields))
    return other


@pytest.fixture
async def known(site):
    (await site.say_hello()).cancel()
    return site


@pytest.fixture
async def filtering(filtering_site):
    (await filtering_site.say_hello()).cancel()
    return filtering_site


# ---------------------------------------------------------------- without filters


async def test_without_filters_the_very_bytes_arrive_with_what_was_let_out(known, hub, make_update):
    update = make_update()
    reply = await submit(known, update)
    assert reply.receipt.digest == update.header.digest
    assert bytes(hub.stored[update.header.digest]) == update.path.read_bytes()
    release = hub.headers[0].release
    assert (list(release.filters), release.meaningful, release.nbytes_in) == ([], False, update.header.nbytes)


async def test_an_update_is_recorded_before_its_last_byte_leaves(known, hub, make_update):
    update = make_update()
    await submit(known, update)
    events = [event for event, _ in known.audit.records]
    assert events[-2:] == ["update-begins", "update"]
    (record,) = known.audit.of("update")
    assert record["digest"] == update.header.digest.hex()
    assert record["order"] == "order-1"
    assert record["metrics"] == {"dice": [3.5, 5]}


@pytest.mark.parametrize("event", ["update-begins", "update"])
async def test_an_update_that_cannot_be_recorded_never_arrives_whole(known, hub, make_update, event):
    known.audit.breaks_at = event
    update = make_update()
    reply = await submit(known, update)
    assert reply.refusal.reason == Reason.AUDIT_FAILED
    assert hub.complete == {}
    assert len(hub.stored.get(update.header.digest, b"")) < update.header.nbytes


async def test_a_digest_that_lies_never_arrives_whole_and_the_attempt_is_recorded(known, hub, make_update):
    update, other = make_update(1), make_update(2)
    reply = await submit(known, other, update.header)
    assert reply.refusal.reason == Reason.WRONG_DIGEST
    assert len(hub.stored[update.header.digest]) < update.header.nbytes
    assert [record["reason"] for record in known.audit.of("update-broken-off")] == [Reason.WRONG_DIGEST]


async def test_compressed_chunks_are_checked_by_what_they_hold(known, hub, make_update):
    hub.complete = {}
    update = make_update(encoding="sparse")
    chunks = list(read_chunks(update.path, 0, "zstd"))
    call = known.stub().SubmitUpdate(metadata=known.metadata())
    await call.write(pb.UpdatePart(header=update.header))
    assert (await call.read()).resume_from == 0
    await call.write(pb.UpdatePart(chunk=pb.Chunk(offset=0, data=b"not zstd", compression="zstd")))
    assert (await call.read()).refusal.reason == Reason.MALFORMED
    assert any(chunk.compression == "zstd" for chunk in chunks)


@pytest.mark.parametrize(
    ("chunk", "reason"),
    [
        (pb.Chunk(offset=5, data=b"x"), Reason.WRONG_OFFSET),
        (pb.Chunk(offset=0, data=b""), Reason.TOO_LARGE),
        (pb.Chunk(offset=0, data=bytes((1 << 20) + 1)), Reason.MALFORMED),
        (pb.Chunk(offset=0, data=b"x", compression="lzma"), Reason.MALFORMED),
    ],
    ids=["offset", "empty", "too long", "compression"],
)
async def test_odd_chunks_are_refused(known, hub, make_update, chunk, reason):
    call = known.stub().SubmitUpdate(metadata=known.metadata())
    await call.write(pb.UpdatePart(header=make_update().header))
    assert (await call.read()).resume_from == 0
    await call.write(pb.UpdatePart(chunk=chunk))
    assert (await call.read()).refusal.reason == reason
    assert hub.complete == {}


@pytest.mark.parametrize("body", ["header", "chunk"])
async def test_a_trainers_words_come_back_to_it_and_stay_out_of_the_gateways_log(known, make_update, caplog, body):
    header = make_update().header
    call = known.stub().SubmitUpdate(metadata=known.metadata())
    await call.write(pb.UpdatePart(header=header if body == "chunk" else changed(header, site="patient-smith")))
    if body == "chunk":
        assert (await call.read()).resume_from == 0
        await call.write(pb.UpdatePart(chunk=pb.Chunk(data=b"x", compression="patient-smith")))
    refusal = (await call.read()).refusal
    assert "patient-smith" in refusal.message
    (line,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert line.message == f"refused: {describe(Reason(refusal.reason))}"
    assert line.reason == refusal.reason
    assert "smith" not in caplog.text


async def test_a_trainer_cannot_submit_for_another_attempt(known, hub, make_update):
    update = make_update()
    reply = await submit(known, update, changed(update.header, job=pb.JobRef(attempt=2)))
    assert reply.refusal.reason == Reason.WORK_ORDER_MISMATCH
    assert hub.headers == []


async def test_an_upload_that_the_hub_broke_off_goes_on_where_it_stopped(known, hub, make_update):
    hub.dies_after = 2
    update = make_update()
    assert await submit_until_it_breaks(known, update) is Reason.HUB_UNREACHABLE
    assert (await submit(known, update)).WhichOneof("body") == "receipt"
    first, second = hub.offsets
    # Two chunks: the second is larger if the first went quickly.
    assert (first, second) in ((0, 2 * SMALLEST), (0, 3 * SMALLEST))
    assert bytes(hub.stored[update.header.digest]) == update.path.read_bytes()


async def test_an_upload_goes_on_from_the_middle_of_a_chunk(known, hub, make_update):
    update = make_update()
    hub.stored[update.header.digest] = bytearray(update.path.read_bytes()[: (1 << 20) + 12345])
    assert (await submit(known, update)).WhichOneof("body") == "receipt"
    assert bytes(hub.stored[update.header.digest]) == update.path.read_bytes()


async def test_a_gateway_restarted_in_mid_upload_goes_on_where_it_stopped(known, hub, make_update):
    update = make_update()
    call = known.stub().SubmitUpdate(metadata=known.metadata())
    await call.write(pb.UpdatePart(header=update.header))
    assert (await call.read()).resume_from == 0
    chunks = read_chunks(update.path)
    await call.write(pb.UpdatePart(chunk=pb.Chunk(**next(chunks)._asdict())))
    await known.restart()
    assert (await submit(known, update)).WhichOneof("body") == "receipt"
    assert bytes(hub.stored[update.header.digest]) == update.path.read_bytes()


async def test_a_refusal_of_the_hub_comes_down_unchanged(known, hub, make_update):
    hub.refusal = Reason.ROUND_CLOSED
    reply = await submit(known, make_update())
    assert (reply.refusal.reason, reply.refusal.message) == (Reason.ROUND_CLOSED, "as told")


async def test_a_hub_that_is_away_is_a_reason_to_try_again(known, hub, make_update):
    await hub.stop()
    assert await submit_until_it_breaks(known, make_update()) is Reason.HUB_UNREACHABLE


async def test_a_dataset_with_a_budget_lets_nothing_out_unfiltered(make_site, hub, make_update):
    site = await make_site(budget=Budget(epsilon=8.0, delta=1e-5))
    (await site.say_hello()).cancel()
    assert (await submit(site, make_update())).refusal.reason == Reason.BUDGET_SPENT
    assert hub.headers == []


# ---------------------------------------------------------------- with filters


async def test_a_filtered_update_arrives_in_place_of_the_raw_one(filtering, hub, make_update, model, tmp_path):
    update = make_update()
    reply = await submit(filtering, update)
    (digest,) = hub.complete
    assert reply.receipt.digest == digest != update.header.digest
    assert hashlib.sha256(hub.stored[digest]).digest() == digest
    arrived = tmp_path / "arrived"
    arrived.write_bytes(hub.stored[digest])
    with UpdateFile.open(arrived, Layout.parse(model[0])) as file:
        norm = np.sqrt(sum(float(np.sum(file.read(name, 0, size) ** 2)) for name, size in _sizes(model[0])))
    assert norm == pytest.approx(1.0, rel=1e-4)
    assert list(hub.headers[0].release.filters) == ["normClip"]
    assert hub.headers[0].report.metrics["dice"].sum == 3.5


def _sizes(model):
    return [(spec.name, spec.size) for spec in Layout.parse(model).specs]


async def test_the_sites_floor_is_applied_after_the_plans_filters(make_site, hub, make_update):
    floor = (NormClip(name="normClip", max_norm=0.5),)
    site = await make_site(filters=(NOISE,), floor=floor)
    (await site.say_hello()).cancel()
    await submit(site, make_update())
    assert list(hub.headers[0].release.filters) == ["gaussianNoise", "normClip"]


async def test_a_private_update_says_what_it_costs(make_site, hub, make_update):
    site = await make_site(filters=(NOISE,), budget=Budget(epsilon=50.0, delta=1e-5))
    (await site.say_hello()).cancel()
    await submit(site, make_update())
    release = hub.headers[0].release
    assert 0 < release.epsilon <= release.spent_epsilon <= 50
    (record,) = site.audit.of("update")
    assert record["spent_epsilon"] == release.spent_epsilon


async def test_a_retry_after_the_release_sends_the_very_same_bytes_and_is_charged_once(make_site, hub, make_update):
    site = await make_site(filters=(NOISE,), budget=Budget(epsilon=50.0, delta=1e-5))
    (await site.say_hello()).cancel()
    hub.receipts_lost = 1
    update = make_update()
    await submit_until_it_breaks(site, update)
    await site.restart()
    assert (await submit(site, update)).WhichOneof("body") == "receipt"
    first, second = hub.headers
    assert first.digest == second.digest
    assert first.release.spent_epsilon == second.release.spent_epsilon


async def test_after_the_receipt_a_retry_is_answered_without_asking_the_hub(filtering, hub, make_update):
    update = make_update()
    first = await submit(filtering, update)
    assert await submit(filtering, update) == first
    assert len(hub.headers) == 1


async def test_even_when_its_files_are_lost_an_update_is_noised_alike(make_site, hub, make_update, tmp_path):
    site = await make_site(filters=(NOISE,))
    (await site.say_hello()).cancel()
    update = make_update()
    await submit(site, update)
    for path in (tmp_path / "gateway" / "releases").glob("*/*"):
        path.unlink()
    await submit(site, update)
    assert hub.headers[0].digest == hub.headers[1].digest


async def test_two_calls_for_the_same_update_release_it_once(filtering, hub, make_update):
    update = make_update()
    first, second = await asyncio.gather(submit(filtering, update), submit(filtering, update))
    assert first.receipt.digest == second.receipt.digest
    assert len(hub.stored) == 1


async def test_a_spent_budget_stops_the_update(make_site, hub, make_update):
    site = await make_site(filters=(NOISE,), budget=Budget(epsilon=0.001, delta=1e-5))
    (await site.say_hello()).cancel()
    assert (await submit(site, make_update())).refusal.reason == Reason.BUDGET_SPENT
    assert hub.headers == []
    assert site.audit.of("update") == []


async def test_a_filter_that_fails_stops_the_update(make_site, hub, make_update, tmp_path):
    site = await make_site(filters=(NOISE,))
    (await site.say_hello()).cancel()
    update = make_update()
    raw = bytearray(update.path.read_bytes())
    raw[-4:] = np.float32("nan").tobytes()
    update.path.write_bytes(raw)
    update.header.digest = hashlib.sha256(raw).digest()
    assert (await submit(site, update)).refusal.reason == Reason.FILTER_FAILED
    assert (hub.headers, hub.stored) == ([], {})
    assert list((tmp_path / "gateway" / "releases").glob("*/*")) == []


async def test_an_audit_disk_that_fails_stops_a_filtered_update(filtering, hub, make_update):
    filtering.audit.is_broken = True
    assert (await submit(filtering, make_update())).refusal.reason == Reason.AUDIT_FAILED
    assert (hub.headers, hub.stored) == ([], {})


async def test_an_update_larger_than_the_model_allows_is_refused_before_a_byte_is_taken(filtering, hub, make_update):
    update = make_update()
    header = changed(update.header, nbytes=10 << 30)
    assert (await submit(filtering, update, header)).refusal.reason == Reason.TOO_LARGE
    assert hub.headers == []


async def test_a_digest_that_lies_is_not_filtered(filtering, hub, make_update, tmp_path):
    assert (await submit(filtering, make_update(2), make_update(1).header)).refusal.reason == Reason.WRONG_DIGEST
    assert hub.headers == []
    assert list((tmp_path / "gateway" / "releases").glob("*/*")) == []


async def test_the_next_round_clears_the_last_ones_files_away(filtering, hub, make_update, tmp_path):
    hub.receipts_lost = 1
    await submit_until_it_breaks(filtering, make_update(1, round_number=1))
    await submit(filtering, make_update(2, round_number=2))
    names = {path.name.split("-")[1] for path in (tmp_path / "gateway" / "releases").glob("*/*")}
    assert names == {"2"}


async def test_a_finished_job_leaves_nothing_behind(filtering_site, hub, make_update, tmp_path):
    call = await filtering_site.say_hello()
    await submit(filtering_site, make_update())
    hub.say(pb.HubMessage(finish=pb.Finish()))
    assert (await call.read()).WhichOneof("body") == "finish"
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert list((tmp_path / "gateway" / "releases").glob("*")) == []


async def test_updates_are_counted(filtering, make_update):
    await submit(filtering, make_update())
    assert filtering.sample("fedward_gateway_released_total") == 1
    assert filtering.sample("fedward_gateway_bytes_total", direction="up") > 0
    assert filtering.metrics.registry.get_sample_value("fedward_gateway_filter_seconds_count", {"site": "mercy"}) == 1
