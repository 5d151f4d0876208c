"""Certificates and authorities change while a trainer works: what runs goes on, and new connections show the new."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from fedward_protocol import refusals
from fedward_protocol.certificate import Certificate
from fedward_protocol.pki import Authority
from fedward_protocol.reasons import Reason
from fedward_protocol.tensors.chunks import read_chunks
from fedward_protocol.tensors.frames import update_part
from fedward_protocol.wire import federation_pb2 as pb

FEDERATION = "north.example"


async def told(call, kind):
    async with asyncio.timeout(20):
        while (message := await call.read()).WhichOneof("body") != kind:
            pass
    return getattr(message, kind)


async def until_expired(*credentials):
    ends_at = max(Certificate.parse(each).x509.not_valid_after_utc for each in credentials)
    # Whoever checks a certificate goes by the real clock, to the second.
    await asyncio.sleep(max(0, (ends_at - datetime.now(UTC)).total_seconds() + 1))


async def begun_with_certificates_that_will_expire(member, aggregator, header):
    """Attend and begin an upload; return both calls and the certificates that they were begun with.

    A machine that was too slow to connect while the certificates were valid gets ones that live twice as long.
    """
    life = timedelta(seconds=2)
    while True:
        first = [member.certify(life), aggregator.certify(life)]
        try:
            attending = await member.say_hello()
            uploading = member.stub().SubmitUpdate(metadata=member.metadata())
            await uploading.write(pb.UpdatePart(header=header))
            assert (await uploading.read()).resume_from == 0
            return attending, uploading, first
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            life *= 2


class Trainer:
    """A trainer that stays connected to its gateway, however often it attends."""

    def __init__(self, site):
        self.site, self.stub = site, site.stub()

    async def attend(self):
        call = self.stub.Attend(metadata=self.site.metadata())
        await call.write(self.site.hello())
        assert (await call.read()).WhichOneof("body") == "welcome"
        return call

    async def refused(self):
        """Attend, and return why it does not get through."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.attend()
        refused = refusals.from_rpc_error(caught.value)
        assert refused.reason is Reason.HUB_UNREACHABLE
        return refused.detail


def believing(authority, *others):
    """Return an authority whose members believe others too."""
    trusted = b"".join(each.ca_pem for each in (authority, *others))
    return Authority.load(FEDERATION, authority.ca_pem, authority.key_pem, trusted)


async def test_streams_outlive_the_certificates_that_they_began_with_and_several_renewals(
    aggregator, member, make_update
):
    upload = make_update(uid=member.plan.job.uid)
    attending, uploading, first = await begun_with_certificates_that_will_expire(member, aggregator, upload.header)
    train = await told(attending, "train")
    chunks = [update_part(*chunk) for chunk in read_chunks(upload.path)]
    assert len(chunks) == 4
    for chunk in chunks[:3]:
        await uploading.write(pb.UpdatePart.FromString(chunk))
        member.certify()
        aggregator.certify()
        await until_expired(*first)
        request = pb.FetchModelRequest(job=upload.header.job, digest=train.model.digest)
        fetching = member.stub().FetchModel(request, metadata=member.metadata())
        assert sum([len(chunk.data) async for chunk in fetching]) == train.model.nbytes, "a new connection, end to end"
    await uploading.write(pb.UpdatePart.FromString(chunks[3]))
    assert (await uploading.read()).receipt.digest == upload.header.digest
    assert (await told(attending, "train")).round == 2
    assert all(aggregator.sample("sites_lost_total", site=name) == 0 for name in aggregator.plan.sites)


async def test_a_new_call_shows_the_renewed_certificate_while_an_old_stream_is_still_on_the_old_connection(site, hub):
    old = await site.say_hello()
    renewed = site.certify()
    new = await site.say_hello()
    assert hub.certificates[1:] == [renewed.cert_pem]
    assert hub.certificates[0] != renewed.cert_pem
    hub.say(pb.HubMessage(wait=pb.Wait(why="for both")))
    assert (await told(old, "wait")).why == (await told(new, "wait")).why == "for both"
    old.cancel()
    await hub.until(lambda: hub.attending() == 1)
    newest = await site.say_hello()
    assert hub.peers[0] != hub.peers[1] == hub.peers[2], "the old connection took none but its own with it"
    new.cancel()
    newest.cancel()


@pytest.mark.parametrize("end", ["the site's", "the aggregator's"])
async def test_a_new_authority_is_believed_from_the_next_connection_on_once_both_are_trusted(aggregator, member, end):
    old, new = aggregator.authority, Authority.create(FEDERATION, datetime.now(UTC))
    renewed, other = (member, aggregator) if end == "the site's" else (aggregator, member)
    trainer = Trainer(member)
    running = await trainer.attend()
    renewed.authority = believing(new, old)
    renewed.certify()
    other.certify()
    assert "no connection" in await trainer.refused()
    assert (await told(running, "train")).round == 1
    other.authority = believing(old, new)
    other.certify()
    assert (await told(await trainer.attend(), "train")).round == 1


async def test_an_expired_certificate_opens_no_connection_and_the_reason_says_so(site, hub, caplog):
    trainer = Trainer(site)
    running = await trainer.attend()
    expired = site.certify(timedelta(minutes=-1))
    why = await trainer.refused()
    ends = Certificate.parse(expired).x509.not_valid_after_utc.isoformat()
    assert f"no connection: the certificate expired at {ends}; renew it in its folder" in why
    assert why in caplog.text
    hub.say(pb.HubMessage(wait=pb.Wait()))
    await told(running, "wait")
    site.certify()
    (await trainer.attend()).cancel()
    running.cancel()


async def test_an_aggregators_expired_certificate_is_told_from_ones_own(aggregator, member):
    trainer = Trainer(member)
    (await trainer.attend()).cancel()
    aggregator.certify(timedelta(minutes=-1))
    member.certify()
    assert "CERTIFICATE_VERIFY_FAILED: certificate has expired" in await trainer.refused()
