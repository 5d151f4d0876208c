"""The aggregator's calls over real mutual TLS, each thing it refuses with its reason, and what it survives."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
import numpy as np
import pytest

from fedward_protocol import refusals, tls
from fedward_protocol.identity import Identity, aggregator_name
from fedward_protocol.pki import Authority
from fedward_protocol.plan import Data, JobIdentity, Model, Network, Plan, Rounds
from fedward_protocol.reasons import Reason
from fedward_protocol.tensors.file import TensorFile, read_tensors, write_tensors
from fedward_protocol.tensors.update import encode_update
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub, add_FederationServicer_to_server
from fedward_server import events
from fedward_server.job import Job
from fedward_server.journal import Journal
from fedward_server.metrics import Metrics
from fedward_server.models import Models
from fedward_server.rounds.state import Phase, replay
from fedward_server.service import Aggregator
from fedward_server.spool import Spool

FEDERATION = "north.example"
UID = "0123456789"
SITES = ("east", "north", "south")
NAME = aggregator_name("job", "research", FEDERATION)
DAY = timedelta(days=1)
PLAN = Plan(
    federation=FEDERATION,
    job=JobIdentity(name="job", namespace="research", uid=UID),
    sites=SITES,
    model=Model(network=Network()),
    data=Data(dataset="brats"),
    rounds=Rounds(count=2, quorum=2, deadline_s=100, grace_s=10),
)
REF = pb.JobRef(uid=UID, attempt=1)


class HandAlarm:
    def __init__(self, alarms, when, callback):
        self.alarms, self.when, self.callback = alarms, when, callback

    def cancel(self):
        if self in self.alarms:
            self.alarms.remove(self)


class HandClock:
    """A clock moved by hand; moving it calls what is due."""

    def __init__(self):
        self.time = 1_000.0
        self._alarms = []

    def now(self):
        return self.time

    def call_at(self, when, callback):
        alarm = HandAlarm(self._alarms, when, callback)
        self._alarms.append(alarm)
        return alarm

    async def advance(self, seconds):
        self.time += seconds
        for alarm in [alarm for alarm in self._alarms if alarm.when <= self.time]:
            alarm.cancel()
            alarm.callback()


class Bench:
    """An aggregator in this process, and channels to it with anybody's certificate."""

    def __init__(self, folder, clock):
        self.folder, self.clock = folder, clock
        self.now = datetime.now(UTC)
        self.authority = Authority.create(FEDERATION, self.now)
        self.server = None

    @asynccontextmanager
    async def running(self, attempt=1):
        async with Journal(self.folder / "journal.db") as journal:
            state = replay(PLAN, await journal.open())
            spool = Spool(self.folder / "spool")
            self.job = job = Job(state, journal, Models(self.folder / "models"), spool, self.clock, Metrics())
            if attempt > state.attempt:
                started = lambda _, now: events.AttemptStarted(at=now, attempt=attempt, plan=PLAN.digest())  # noqa: E731
                await job.record(started)
            self.server = grpc.aio.server(options=tls.SERVER_OPTIONS)
            add_FederationServicer_to_server(Aggregator(job), self.server)
            identity = Identity(FEDERATION, "job", UID)
            credentials = self.authority.issue(identity, [NAME], self.now, DAY)
            self.port = self.server.add_secure_port(
                "127.0.0.1:0", tls.server_credentials(credentials, require_client=True)
            )
            await self.server.start()
            running = asyncio.create_task(job.run(self.folder / "initial.safetensors"))
            try:
                yield self
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await self.server.stop(None)

    async def until(self, condition):
        with self.job.bell.listen() as changed:
            while not condition(self.job.state):
                await asyncio.wait_for(changed.wait(), 10)
                changed.clear()

    def channel(self, identity, authority=None, lifetime=DAY):
        credentials = (authority or self.authority).issue(identity, [], self.now, lifetime)
        trust = tls.channel_credentials(
            type(credentials)(credentials.cert_pem, credentials.key_pem, self.authority.ca_pem)
        )
        options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", NAME))
        return grpc.aio.secure_channel(f"127.0.0.1:{self.port}", trust, options=options)


class SiteClient:
    """A site that says what a test wants it to say."""

    def __init__(self, bench, name="north"):
        self.name, self.bench = name, bench
        self.channel = bench.channel(Identity(FEDERATION, "site", name))
        self.stub = FederationStub(self.channel)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.channel.close()

    async def attend(self, cases=4, attempt=1, site=None, versions=(1, 1)):
        self.stream = self.stub.Attend()
        hello = pb.Hello(
            job=pb.JobRef(uid=UID, attempt=attempt),
            site=site or self.name,
            versions=pb.VersionRange(lowest=versions[0], highest=versions[1]),
            training_cases=cases,
        )
        await self.stream.write(pb.SiteMessage(hello=hello))
        return await self.stream.read()

    async def told(self, kind):
        while True:
            message = await asyncio.wait_for(self.stream.read(), 10)
            if message.WhichOneof("body") == kind:
                return getattr(message, kind)

    async def fetch(self, ref, offset=0):
        request = pb.FetchModelRequest(job=REF, digest=ref.digest, offset=offset)
        return b"".join([chunk.data async for chunk in self.stub.FetchModel(request)])

    def header(self, train, data, **changes):
        header = pb.UpdateHeader(
            job=REF,
            site=self.name,
            round=train.round,
            digest=hashlib.sha256(data).digest(),
            nbytes=len(data),
            model_digest=train.model.digest,
            samples=4,
        )
        for field, value in changes.items():
            if isinstance(value, pb.JobRef):
                getattr(header, field).CopyFrom(value)
            else:
                setattr(header, field, value)
        return header

    async def submit(self, header, data, stop_after=None):
        """Send an update; return its receipt or refusal, or the offset when `stop_after` bytes were sent."""
        call = self.stub.SubmitUpdate()
        await call.write(pb.UpdatePart(header=header))
        reply = await call.read()
        if reply.WhichOneof("body") != "resume_from":
            return reply
        offset = reply.resume_from
        end = len(data) if stop_after is None else stop_after
        for start in range(offset, end, 1 << 20):
            chunk = pb.Chunk(offset=start, data=data[start : min(end, start + (1 << 20))])
            await call.write(pb.UpdatePart(chunk=chunk))
        await call.done_writing()
        final = await call.read()
        return offset if final is grpc.aio.EOF else final


@pytest.fixture
async def bench(tmp_path):
    write_tensors(tmp_path / "initial.safetensors", {"w": np.zeros((700, 700), "f4"), "b": np.ones(3, "f4")})
    async with Bench(tmp_path, HandClock()).running() as running:
        await running.until(lambda state: state.latest is not None)
        yield running


@pytest.fixture
async def sites(bench):
    clients = [SiteClient(bench, name) for name in SITES]
    for client in clients:
        assert (await client.attend()).WhichOneof("body") == "welcome"
    yield clients
    for client in clients:
        await client.channel.close()


def update(folder, value=0.5, **tensors):
    plain, encoded = folder / "plain.safetensors", folder / "encoded.safetensors"
    write_tensors(plain, tensors or {"w": np.full((700, 700), value, "f4"), "b": np.full(3, value, "f4")})
    with TensorFile.open(plain) as source:
        encode_update(encoded, source, source.layout, "fp32")
    return encoded.read_bytes()


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
    assert bench.job.metrics.refusals.labels(reason.value)._value.get() == 1
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
        await site.stream.write(pb.SiteMessage(heartbeat=pb.Heartbeat()))
    heard = lambda: all(bench.job.attendance.of(site.name).seen_at == bench.clock.now() for site in sites[:2])  # noqa: E731
    while not heard():
        await asyncio.wait_for(sites[0].stream.read(), 10)
    await bench.clock.advance(0.2)
    await bench.until(lambda _: bench.job.attendance.of("south").away_since is not None)
    assert bench.job.state.round == 1
    await bench.clock.advance(7)
    for site in sites[:2]:
        await site.stream.write(pb.SiteMessage(heartbeat=pb.Heartbeat()))
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


async def test_protocol_versions_that_do_not_meet_are_refused(bench):
    async with SiteClient(bench) as north:
        assert (await north.attend(versions=(7, 9))).abort.reason == Reason.VERSION_UNSUPPORTED
