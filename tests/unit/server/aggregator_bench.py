"""An aggregator in this process under a clock moved by hand, and sites that say what a test wants them to say."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
import numpy as np

from fedward_protocol import tls
from fedward_protocol.certificate import CertificateFolder
from fedward_protocol.identity import Identity, aggregator_name
from fedward_protocol.pki import Authority
from fedward_protocol.plan import Data, JobIdentity, Model, Network, Plan, Rounds
from fedward_protocol.server import Server
from fedward_protocol.tensors.file import TensorFile, write_tensors
from fedward_protocol.tensors.update import encode_update
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub
from fedward_server import events
from fedward_server.attendance import Attendance
from fedward_server.job import Job
from fedward_server.journal import Journal
from fedward_server.metrics import Metrics
from fedward_server.models import Models
from fedward_server.rounds.state import replay
from fedward_server.service import Aggregator
from fedward_server.spool import Disk, Spool

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


class AudibleAttendance(Attendance):
    """Says when it has heard a site, so that a test can wait until a heartbeat has come."""

    def __init__(self, sites, now):
        super().__init__(sites, now)
        self.heard = asyncio.Condition()
        self._telling = set()

    def hear(self, site, now):
        super().hear(site, now)
        task = asyncio.create_task(self._tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self):
        async with self.heard:
            self.heard.notify_all()


class Bench:
    """An aggregator in this process, and channels to it with anybody's certificate."""

    def __init__(self, folder, clock, **changes):
        self.folder, self.clock = folder, clock
        self.plan = PLAN.model_copy(update=changes)
        self.now = datetime.now(UTC)
        self.authority = Authority.create(FEDERATION, self.now)
        self.disk = Disk()
        self.server = None

    @asynccontextmanager
    async def running(self, attempt=1):
        async with Journal(self.folder / "journal.db") as journal:
            metrics = Metrics(self.plan)
            state = replay(self.plan, await journal.open(), metrics.take)
            spool = Spool(self.folder / "spool", self.disk)
            self.job = job = Job(state, journal, Models(self.folder / "models"), spool, self.clock, metrics)
            metrics.watch_job(job)
            job.attendance = AudibleAttendance(self.plan.sites, self.clock.now())
            if attempt > state.attempt:
                started = lambda _, now: events.AttemptStarted(at=now, attempt=attempt, plan=self.plan.digest())  # noqa: E731
                await job.record(started)
            self.certify()
            certificates = CertificateFolder(self.folder / "tls-aggregator")
            self.server = Server(Aggregator(job).handler(), certificates, "127.0.0.1:0", require_client=True)
            self.port = self.server.port
            await self.server.start()
            running = asyncio.create_task(job.run(self.folder / "initial.safetensors"))
            try:
                yield self
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await self.server.stop(None)

    def certify(self, lifetime=DAY):
        """Put a new certificate into the aggregator's folder, and return it."""
        issued = self.authority.issue(Identity(FEDERATION, "job", UID), [NAME], datetime.now(UTC), lifetime)
        issued.write(self.folder / "tls-aggregator")
        return issued

    async def until(self, condition):
        with self.job.bell.listen() as changed:
            while not condition(self.job.state):
                await asyncio.wait_for(changed.wait(), 10)
                changed.clear()

    def sample(self, name, **labels):
        """Read a sample of /metrics by its name without the prefix; None where there is none."""
        labels |= {"job_namespace": self.plan.job.namespace, "job_name": self.plan.job.name}
        return self.job.metrics.registry.get_sample_value(f"fedward_aggregator_{name}", labels)

    def channel(self, identity, authority=None, lifetime=DAY, options=tls.CHANNEL_OPTIONS):
        credentials = (authority or self.authority).issue(identity, [], self.now, lifetime)
        trust = tls.channel_credentials(
            type(credentials)(credentials.cert_pem, credentials.key_pem, self.authority.ca_pem)
        )
        options = (*options, ("grpc.ssl_target_name_override", NAME))
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

    async def heartbeat(self):
        attendance, now = self.bench.job.attendance, self.bench.clock.now()
        await self.stream.write(pb.SiteMessage(heartbeat=pb.Heartbeat()))
        async with attendance.heard, asyncio.timeout(10):
            await attendance.heard.wait_for(lambda: attendance.of(self.name).seen_at == now)

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


def update(folder, value=0.5, **tensors):
    plain, encoded = folder / "plain.safetensors", folder / "encoded.safetensors"
    write_tensors(plain, tensors or {"w": np.full((700, 700), value, "f4"), "b": np.full(3, value, "f4")})
    with TensorFile.open(plain) as source:
        encode_update(encoded, source, source.layout, "fp32")
    return encoded.read_bytes()
