"""What of a trainer's presence leaves the hospital, and what comes down."""

from __future__ import annotations

import logging
import math

import grpc
import pytest

from fedward_protocol import refusals
from fedward_protocol.plan import JobIdentity
from fedward_protocol.reasons import Reason
from fedward_protocol.wire import federation_pb2 as pb

DIGEST = bytes(range(32))
MODEL = pb.ModelRef(round=3, digest=DIGEST, nbytes=10)


def evaluation(**changes):
    facts = {"round": 3, "model_digest": DIGEST, "metrics": {"dice": pb.MeanMetric(sum=4.0, count=5)}}
    return pb.SiteMessage(evaluation=pb.Evaluation(**{**facts, **changes}))


async def ask_for_evaluation(hub, call):
    hub.say(pb.HubMessage(evaluate=pb.Evaluate(model=MODEL)))
    assert (await call.read()).evaluate.model == MODEL


async def test_the_hub_hears_the_hello_without_the_plan(site, hub):
    call = await site.say_hello()
    hello = await hub.hear("hello")
    assert (hello.site, hello.training_cases, hello.plan) == ("mercy", 20, b"")
    call.cancel()


async def test_fields_that_this_version_does_not_know_stay_here(site, hub):
    hello = site.hello().hello
    smuggled = pb.Hello.FromString(hello.SerializeToString() + b"\xfa\x7f\x0cpatient data")
    call = site.stub().Attend(metadata=site.metadata())
    await call.write(pb.SiteMessage(hello=smuggled))
    await call.read()
    assert b"patient" not in (await hub.hear("hello")).SerializeToString()
    call.cancel()


async def test_instructions_come_down_and_progress_goes_up(site, hub):
    call = await site.say_hello()
    hub.say(pb.HubMessage(train=pb.Train(round=1, model=MODEL)))
    assert (await call.read()).train.round == 1
    await call.write(pb.SiteMessage(progress=pb.Progress(round=1, stage="train", fraction=0.5, loss=0.25)))
    progress = await hub.hear("progress")
    assert (progress.stage, progress.fraction, progress.loss) == ("train", 0.5, 0.25)
    call.cancel()


async def test_an_evaluation_that_was_asked_for_leaves_once_and_is_recorded_first(site, hub):
    call = await site.say_hello()
    await ask_for_evaluation(hub, call)
    await call.write(evaluation())
    await call.write(evaluation(metrics={"dice": pb.MeanMetric(sum=1.0, count=5)}))
    await call.write(pb.SiteMessage(heartbeat=pb.Heartbeat()))
    await hub.hear("hello")
    first, second = await hub.heard.get(), await hub.heard.get()
    assert first.evaluation.metrics["dice"].sum == 4.0
    assert second.WhichOneof("body") == "heartbeat"
    assert [record["metrics"] for record in site.audit.of("evaluation")] == [{"dice": [4.0, 5]}]
    call.cancel()


async def test_an_evaluation_does_not_leave_when_it_cannot_be_recorded(site, hub):
    call = await site.say_hello()
    await ask_for_evaluation(hub, call)
    site.audit.is_broken = True
    await call.write(evaluation())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert refusals.from_rpc_error(caught.value).reason is Reason.AUDIT_FAILED
    await hub.hear("hello")
    assert hub.heard.empty()


@pytest.mark.parametrize(
    "metrics",
    [
        {f"m{number}": pb.MeanMetric(sum=1, count=1) for number in range(65)},
        {"Patient Smith": pb.MeanMetric(sum=1, count=1)},
        {"x" * 65: pb.MeanMetric(sum=1, count=1)},
        {"dice": pb.MeanMetric(sum=math.nan, count=1)},
        {"dice": pb.MeanMetric(sum=math.inf, count=1)},
    ],
    ids=["too many", "odd name", "long name", "NaN", "infinite"],
)
async def test_odd_metrics_do_not_leave(site, hub, metrics):
    call = await site.say_hello()
    await ask_for_evaluation(hub, call)
    await call.write(evaluation(metrics=metrics))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert refusals.from_rpc_error(caught.value).reason is Reason.BAD_METRICS
    await hub.hear("hello")
    assert hub.heard.empty()


async def test_a_failure_leaves_as_its_code_and_the_trainers_words_are_neither_sent_nor_logged(site, hub, caplog):
    call = await site.say_hello()
    refusal = pb.Refusal(reason="DatasetEmpty", message="/data/patient-smith is empty")
    await call.write(pb.SiteMessage(failure=refusal))
    failure = await hub.hear("failure")
    assert (failure.reason, "smith" in failure.message) == ("DatasetEmpty", False)
    assert [record.reason for record in caplog.records if record.levelname == "ERROR"] == ["DatasetEmpty"]
    assert "smith" not in caplog.text
    call.cancel()


async def test_a_hub_that_cannot_be_reached_is_a_reason_to_try_again(site, hub):
    async def hello():
        yield site.hello()  # not written by hand: the call may be over before the hello is out

    await hub.stop()
    call = site.stub().Attend(hello(), metadata=site.metadata())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert refusals.from_rpc_error(caught.value).reason is Reason.HUB_UNREACHABLE
    assert site.audit.records == []


async def test_an_outage_is_logged_ever_more_seldom_and_the_next_one_anew(site, hub, caplog):
    async def hello():
        yield site.hello()

    async def tries(times):
        caplog.clear()
        for _ in range(times):
            with pytest.raises(grpc.aio.AioRpcError):
                await site.stub().Attend(hello(), metadata=site.metadata()).read()
        return len([record for record in caplog.records if record.levelname == "WARNING"])

    await hub.stop()
    assert await tries(9) == 4  # the first, second, fourth and eighth
    await hub.start()
    (await site.say_hello()).cancel()
    await hub.hear("hello")
    await hub.stop()
    assert await tries(1) == 1


async def test_an_outage_that_two_jobs_meet_in_turn_is_logged_as_seldom_for_each(site, hub, caplog):
    async def hello():
        yield site.hello()

    await hub.stop()
    other = JobIdentity(name="lung", namespace="imaging", uid="uid-00000002")
    caplog.set_level(logging.INFO, "fedward_node.gateway.upstream")
    for _ in range(9):
        for job in (site.plan.job, other):
            with pytest.raises(grpc.aio.AioRpcError):
                await site.stub().Attend(hello(), metadata=site.metadata(job=job)).read()
    lines = [record.message.split()[0] for record in caplog.records if record.name.startswith("fedward_node.gateway")]
    assert (lines.count("refused:"), lines.count("connecting")) == (2 * 4, 2 * 4)


async def test_several_trainers_attend_at_once(site, hub):
    first, second = await site.say_hello(), await site.say_hello()
    assert site.sample("fedward_gateway_attending") == 1
    hub.say(pb.HubMessage(wait=pb.Wait(why="for both")))
    assert (await first.read()).wait.why == (await second.read()).wait.why == "for both"
    first.cancel()
    second.cancel()


async def test_a_model_comes_down_as_it_is_and_its_fetching_is_recorded(site, hub, model):
    call = await site.say_hello()
    request = pb.FetchModelRequest(job=pb.JobRef(uid="uid-00000001", attempt=1), digest=model[1], offset=1 << 20)
    data = b"".join([chunk.data async for chunk in site.stub().FetchModel(request, metadata=site.metadata())])
    assert data == model[0].read_bytes()[1 << 20 :]
    assert [record["digest"] for record in site.audit.of("model")] == [model[1].hex()]
    call.cancel()


async def test_what_a_request_smuggles_along_stays_here(site, hub, model):
    call = await site.say_hello()
    request = pb.FetchModelRequest(
        job=pb.JobRef(uid="uid-00000001", attempt=1), digest=model[1], accept_compression=["zstd", "patient data"]
    )
    smuggled = pb.FetchModelRequest.FromString(request.SerializeToString() + b"\xfa\x7f\x0cpatient data")
    await anext(aiter(site.stub().FetchModel(smuggled, metadata=site.metadata())))
    assert hub.requests[0].accept_compression == ["zstd"]
    assert b"patient" not in hub.requests[0].SerializeToString()
    call.cancel()


async def test_a_refusal_of_the_hubs_comes_down_unchanged(site, hub):
    call = await site.say_hello()
    request = pb.FetchModelRequest(job=pb.JobRef(uid="uid-00000001", attempt=1), digest=bytes(32))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(site.stub().FetchModel(request, metadata=site.metadata())))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert refusals.from_rpc_error(caught.value).reason is Reason.MODEL_UNKNOWN
    call.cancel()
