"""A site that is revoked while its trainer works: what the gateway passes on from the aggregator."""

from __future__ import annotations

import grpc
import pytest

from fedward_node.trainer.verdict import Verdict, judge
from fedward_protocol import refusals
from fedward_protocol.identity import Identity
from fedward_protocol.reasons import Reason
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub


async def dismiss(aggregator):
    async with aggregator.channel(Identity(aggregator.plan.federation, "hub")) as channel:
        job = pb.JobRef(uid=aggregator.plan.job.uid, attempt=1)
        await FederationStub(channel).Dismiss(pb.DismissRequest(job=job, sites=["mercy"]))


async def test_a_trainer_whose_site_is_revoked_hears_it_on_every_stream_and_leaves(aggregator, member, make_update):
    attending = await member.say_hello()
    upload = make_update(uid=member.plan.job.uid)
    await aggregator.until(lambda state: state.round == 1)
    uploading = member.stub().SubmitUpdate(metadata=member.metadata())
    await uploading.write(pb.UpdatePart(header=upload.header))
    assert (await uploading.read()).WhichOneof("body") == "resume_from"
    await dismiss(aggregator)
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await uploading.read()
    assert refusals.from_rpc_error(ended.value).reason is Reason.SITE_REVOKED
    while (message := await attending.read()).WhichOneof("body") != "abort":
        pass
    assert message.abort.reason == Reason.SITE_REVOKED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await member.say_hello()
    assert refusals.from_rpc_error(refused.value).reason is Reason.SITE_REVOKED


def test_a_trainer_leaves_a_job_from_which_its_site_was_dismissed():
    assert judge(Reason.SITE_REVOKED) is Verdict.LEAVE
