"""Whom the gateway believes, and about what."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedward_protocol import refusals, work_order
from fedward_protocol.plan import NormClip
from fedward_protocol.reasons import Reason
from fedward_protocol.wire import federation_pb2 as pb

NOW = datetime.now(UTC)


async def only(message):
    """One message for a call that may be over before the message is out, so that nobody can write it by hand."""
    yield message


async def reason_of_attending(site, metadata, hello=None):
    """Attend with this hello, or in silence; the reason that it is refused for.

    A message or an end that meets the refusal on its way makes gRPC's client forget the reason: INTERNAL, now and then.
    """
    over = asyncio.Event()

    async def messages():
        if hello is not None:
            yield hello
        await over.wait()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await site.stub().Attend(messages(), metadata=metadata).read()
    over.set()
    return refusals.from_rpc_error(caught.value).reason


def altered(envelope):
    return envelope.replace(b"brats", b"other")


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (lambda site: (), Reason.WORK_ORDER_MISSING),
        (lambda site: site.metadata() * 2, Reason.WORK_ORDER_MISSING),
        (lambda site: ((work_order.METADATA_KEY, b"{}"),), Reason.WORK_ORDER_MALFORMED),
        (lambda site: ((work_order.METADATA_KEY, altered(site.envelope())),), Reason.WORK_ORDER_FORGED),
        (
            lambda site: ((work_order.METADATA_KEY, work_order.sign(site.order(), Ed25519PrivateKey.generate())),),
            Reason.WORK_ORDER_FORGED,
        ),
        (
            lambda site: site.metadata(not_before=NOW - timedelta(days=2), expires=NOW - timedelta(days=1)),
            Reason.WORK_ORDER_EXPIRED,
        ),
        (lambda site: site.metadata(site="other"), Reason.WORK_ORDER_MISMATCH),
        (lambda site: site.metadata(federation="south.example"), Reason.WORK_ORDER_MISMATCH),
    ],
    ids=["missing", "two", "malformed", "altered", "foreign key", "expired", "site", "federation"],
)
async def test_an_order_that_is_not_good_is_refused_before_a_word_is_said(site, hub, metadata, reason):
    assert await reason_of_attending(site, metadata(site)) is reason
    assert hub.heard.empty()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"attempt": 2}, Reason.WORK_ORDER_MISMATCH), ({"plan_digest": "0" * 64}, Reason.PLAN_MISMATCH)],
    ids=["attempt", "plan"],
)
async def test_an_order_for_something_else_than_the_hello_is_refused_and_the_hub_hears_nothing(
    site, hub, changes, reason
):
    assert await reason_of_attending(site, site.metadata(**changes), site.hello()) is reason
    assert hub.heard.empty()


@pytest.mark.parametrize(
    "changes",
    [
        {"job": pb.JobRef(uid="uid-00000002", attempt=1)},
        {"job": pb.JobRef(uid="uid-00000001", attempt=9)},
        {"site": "other"},
    ],
    ids=["job", "attempt", "site"],
)
async def test_a_trainer_cannot_speak_for_another_job_attempt_or_site(site, hub, changes):
    reason = await reason_of_attending(site, site.metadata(), site.hello(**changes))
    assert reason is Reason.WORK_ORDER_MISMATCH
    assert hub.heard.empty()


async def test_a_trainer_cannot_bring_a_plan_with_other_filters(make_site, hub):
    site = await make_site(filters=(NormClip(name="normClip", max_norm=1.0),))
    without = site.plan.model_copy(update={"privacy": site.plan.privacy.model_copy(update={"filters": ()})})
    reason = await reason_of_attending(site, site.metadata(), site.hello(plan=without.canonical()))
    assert reason is Reason.PLAN_MISMATCH
    assert hub.heard.empty()


@pytest.mark.parametrize("metadata", [lambda site: (), lambda site: site.metadata(site="other")], ids=["none", "other"])
async def test_models_and_updates_need_an_order_too(site, hub, model, make_update, metadata):
    (await site.say_hello()).cancel()
    request = pb.FetchModelRequest(job=pb.JobRef(uid="uid-00000001", attempt=1), digest=model[1])
    with pytest.raises(grpc.aio.AioRpcError):
        await anext(aiter(site.stub().FetchModel(request, metadata=metadata(site))))
    with pytest.raises(grpc.aio.AioRpcError):
        await site.stub().SubmitUpdate(only(pb.UpdatePart(header=make_update().header)), metadata=metadata(site)).read()
    assert (hub.fetches, hub.headers) == ([], [])


async def test_another_jobs_model_is_not_fetched(site, hub, model):
    (await site.say_hello()).cancel()
    request = pb.FetchModelRequest(job=pb.JobRef(uid="uid-00000002", attempt=1), digest=model[1])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(site.stub().FetchModel(request, metadata=site.metadata())))
    assert refusals.from_rpc_error(caught.value).reason is Reason.WORK_ORDER_MISMATCH
    assert hub.fetches == []


async def test_nothing_moves_before_the_plan_is_known_and_the_plan_outlives_the_process(site, hub, make_update):
    async def submit():
        call = site.stub().SubmitUpdate(metadata=site.metadata())
        await call.write(pb.UpdatePart(header=make_update().header))
        return await call.read()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await submit()
    assert refusals.from_rpc_error(caught.value).reason is Reason.PLAN_UNKNOWN
    (await site.say_hello()).cancel()
    await site.restart()
    assert (await submit()).WhichOneof("body") == "resume_from"


async def test_an_attendance_ends_when_its_order_expires(site, hub):
    call = site.stub().Attend(metadata=site.metadata(expires=datetime.now(UTC) + timedelta(seconds=0.3)))
    await call.write(site.hello())
    assert (await call.read()).WhichOneof("body") == "welcome"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert refusals.from_rpc_error(caught.value).reason is Reason.WORK_ORDER_EXPIRED
