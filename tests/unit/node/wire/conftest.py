"""A hub that records what it hears, a gateway, and a trainer's channel to it, all real servers on 127.0.0.1."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedward_node.gateway.assembly import assemble
from fedward_node.gateway.metrics import Metrics
from fedward_protocol import refusals, tls, work_order
from fedward_protocol.certificate import CertificateFolder
from fedward_protocol.identity import Identity, aggregator_name, gateway_name
from fedward_protocol.pki import Authority
from fedward_protocol.plan import Data, JobIdentity, Model, Network, NormClip, Plan, Privacy, Rounds, Transport
from fedward_protocol.server import Server
from fedward_protocol.tensors.file import write_tensors
from fedward_protocol.tensors.layout import Layout
from fedward_protocol.tensors.update import encode_update
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import (
    FederationServicer,
    FederationStub,
    add_FederationServicer_to_server,
)

# The builders of BraTS folders, for the tests that damage them; and a real aggregator.
sys.path.insert(0, str(Path(__file__).parents[1] / "trainer_learning"))
sys.path.insert(0, str(Path(__file__).parents[2] / "server"))

from aggregator_bench import Bench, HandClock

FEDERATION = "north.example"
SITE = "mercy"
DAY = timedelta(days=1)
MIB = 1 << 20


class Hub(FederationServicer):
    """An aggregator that believes everything and remembers it."""

    def __init__(self, credentials):
        self.credentials = credentials
        self.port = 0
        self.models = {}
        self.heard = asyncio.Queue()
        self.certificates = []
        self.peers = []
        self.headers = []
        self.stored = {}
        self.complete = {}
        self.offsets = []
        self.fetches = []
        self.requests = []
        self.fetch_dies_after = None
        self.dies_after = None
        self.holds_after = None
        self.holding, self.go_on = asyncio.Event(), asyncio.Event()
        self.refusal = None
        self.receipts_lost = 0
        self.keeps_receipts = False
        self.cut_off = 0
        self.instruction = None
        self.attached = asyncio.Event()
        self.heartbeat_s = 0.05
        self._streams = []
        self._told = asyncio.Event()
        self._locks = defaultdict(asyncio.Lock)
        self._server = None

    async def start(self):
        self._server = grpc.aio.server(options=tls.SERVER_OPTIONS)
        add_FederationServicer_to_server(self, self._server)
        credentials = tls.server_credentials(self.credentials, require_client=True)
        self.port = self._server.add_secure_port(f"127.0.0.1:{self.port}", credentials)
        await self._server.start()

    async def stop(self):
        await self._server.stop(None)

    def say(self, message):
        """Say something to whoever attends."""
        for stream in self._streams:
            stream.put_nowait(message)

    def attending(self):
        """Say how many streams are open."""
        return len(self._streams)

    async def hear(self, kind):
        """Wait for a message of a kind from the site, passing over others."""
        while True:
            message = await self.heard.get()
            if message.WhichOneof("body") == kind:
                return getattr(message, kind)

    async def until(self, condition):
        """Wait until something that the hub was told makes the condition true."""
        async with asyncio.timeout(20):
            while not condition():
                self._told.clear()
                await self._told.wait()

    async def Attend(self, messages, context):  # noqa: N802 - the wire's name
        self.certificates += context.auth_context()["x509_pem_cert"]
        self.peers.append(context.peer())
        said = asyncio.Queue()
        listening = asyncio.create_task(self._listen(messages, said))
        try:
            said.put_nowait(pb.HubMessage(welcome=pb.Welcome(version=1, attempt=1, heartbeat_seconds=self.heartbeat_s)))
            if self.instruction is not None:
                said.put_nowait(self.instruction)
            self._streams.append(said)
            self.attached.set()
            while (message := await said.get()) is not None:
                yield message
        finally:
            listening.cancel()
            self._streams.remove(said)
            self._told.set()

    async def _listen(self, messages, said):
        async for message in messages:
            self.heard.put_nowait(message)
        said.put_nowait(None)

    async def FetchModel(self, request, context):  # noqa: N802
        self.fetches.append(request.offset)
        self.requests.append(request)
        self._told.set()
        if request.digest not in self.models:
            await refusals.abort(context, refusals.RefusedError(refusals.Reason.MODEL_UNKNOWN))
        model = self.models[request.digest]
        for count, start in enumerate(range(request.offset, len(model), MIB)):
            if count == self.fetch_dies_after:
                self.fetch_dies_after = None
                await context.abort(grpc.StatusCode.UNAVAILABLE, "died")
            yield pb.Chunk(offset=start, data=model[start : start + MIB])

    async def SubmitUpdate(self, parts, context):  # noqa: N802
        header = (await anext(parts)).header
        self.headers.append(header)
        self._told.set()
        if self.refusal is not None:
            yield pb.UpdateReply(refusal=pb.Refusal(reason=self.refusal.value, message="as told"))
            return
        async with self._locks[header.digest]:
            try:
                async for reply in self._take(header, parts, context):
                    yield reply
            except asyncio.CancelledError:
                self.cut_off += 1
                self._told.set()
                raise

    async def _take(self, header, parts, context):
        bytes_so_far = self.stored.setdefault(header.digest, bytearray())
        if header.digest not in self.complete:
            self.offsets.append(len(bytes_so_far))
            yield pb.UpdateReply(resume_from=len(bytes_so_far))
            count = 0
            async for part in parts:
                assert part.chunk.offset == len(bytes_so_far)
                bytes_so_far += part.chunk.data
                count += 1
                if count == self.holds_after:
                    self.holds_after = None
                    self.holding.set()
                    await self.go_on.wait()
                if count == self.dies_after:
                    self.dies_after = None
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "died")
            assert hashlib.sha256(bytes_so_far).digest() == header.digest
            self.complete[header.digest] = header
            self._told.set()
        if self.keeps_receipts:
            self.holding.set()
            await self.go_on.wait()
        if self.receipts_lost:
            self.receipts_lost -= 1
            self._told.set()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "died before the receipt")
        yield pb.UpdateReply(
            receipt=pb.Receipt(job=header.job, site=header.site, round=header.round, digest=header.digest)
        )

    async def Observe(self, request, context):  # noqa: N802
        await context.abort(grpc.StatusCode.UNIMPLEMENTED)
        yield


@dataclass
class Audit:
    """An audit log in memory, on a disk that can break."""

    records: list = field(default_factory=list)
    is_broken: bool = False
    breaks_at: str = ""

    def append(self, event, facts):
        if self.is_broken or event == self.breaks_at:
            raise OSError(5, "the disk is broken")
        self.records.append((event, dict(facts)))

    def of(self, event):
        return [facts for kind, facts in self.records if kind == event]


@dataclass
class Site:
    """A hospital: its gateway, and what its trainers are given."""

    folder: object
    authority: object
    hub: Hub
    operator: Ed25519PrivateKey
    audit: Audit
    plan: Plan
    floor: tuple = ()
    budget: object = None
    port: int = 0
    exports: tuple = ()
    metrics: Metrics | None = None
    server: object = None
    channels: list = field(default_factory=list)

    async def start(self):
        self.certify()
        self.metrics = Metrics(SITE)
        certificates = CertificateFolder(self.folder / "tls")
        self.gateway = assemble(
            self.folder / "gateway", self.audit, certificates, self.operator.public_key(), self.metrics
        )
        self.server = Server(self.gateway.handler(), certificates, f"127.0.0.1:{self.port}", require_client=False)
        self.port = self.server.port
        await self.server.start()

    def certify(self, lifetime=DAY):
        """Put a new certificate into the gateway's folder, and return it."""
        identity = Identity(FEDERATION, "site", SITE)
        issued = self.authority.issue(identity, [gateway_name(SITE, FEDERATION)], datetime.now(UTC), lifetime)
        issued.write(self.folder / "tls")
        return issued

    async def stop(self):
        await self.server.stop(None)
        self.gateway.close()

    async def restart(self):
        await self.stop()
        await self.start()

    async def close(self):
        for channel in self.channels:
            await channel.close()
        await self.stop()

    def order(self, **changes):
        now = datetime.now(UTC)
        facts = {
            "order_id": "order-1",
            "federation": FEDERATION,
            "job": self.plan.job,
            "attempt": 1,
            "site": SITE,
            "dataset": "brats",
            "plan_digest": self.plan.digest().hex(),
            "aggregator": f"127.0.0.1:{self.hub.port}",
            "aggregator_name": aggregator_name(self.plan.job.name, self.plan.job.namespace, FEDERATION),
            "floor": self.floor,
            "budget": self.budget,
            "exports": self.exports,
            "not_before": now - DAY,
            "expires": now + DAY,
        }
        return work_order.WorkOrder(**{**facts, **changes})

    def sample(self, name, **labels):
        """Return a sample of /metrics, of the site's one job unless its labels say otherwise; None if there is none."""
        job = {"job_namespace": self.plan.job.namespace, "job_name": self.plan.job.name}
        return self.metrics.registry.get_sample_value(name, {"site": SITE, **job, **labels})

    def envelope(self, **changes):
        return work_order.sign(self.order(**changes), self.operator)

    def channel(self):
        options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", gateway_name(SITE, FEDERATION)))
        credentials = tls.channel_credentials(self.authority.ca_pem)
        channel = grpc.aio.secure_channel(f"127.0.0.1:{self.port}", credentials, options=options)
        self.channels.append(channel)
        return channel

    def stub(self):
        return FederationStub(self.channel())

    def metadata(self, **changes):
        return ((work_order.METADATA_KEY, self.envelope(**changes)),)

    def hello(self, **changes):
        facts = {
            "job": pb.JobRef(uid=self.plan.job.uid, attempt=1),
            "site": SITE,
            "versions": pb.VersionRange(lowest=1, highest=1),
            "software": "fedward 0.1.0",
            "training_cases": 20,
            "validation_cases": 5,
            "plan": self.plan.canonical(),
        }
        return pb.SiteMessage(hello=pb.Hello(**{**facts, **changes}))

    async def say_hello(self):
        """Attend until the gateway knows the plan; the stream stays open."""
        call = self.stub().Attend(metadata=self.metadata())
        await call.write(self.hello())
        assert (await call.read()).WhichOneof("body") == "welcome"
        return call


class Update:
    """An update on disk, with the header that announces it."""

    def __init__(self, folder, model_path, model_digest, seed, round_number=1, encoding="fp32", uid="uid-00000001"):
        layout = Layout.parse(model_path)
        self.path = folder / f"update-{seed}-{round_number}.safetensors"
        generator = np.random.default_rng(seed)

        class Noise:
            def read(self, name, start, stop):
                return generator.standard_normal(stop - start, dtype=np.float32)

        written = encode_update(self.path, Noise(), layout, encoding)
        self.header = pb.UpdateHeader(
            job=pb.JobRef(uid=uid, attempt=1),
            site=SITE,
            round=round_number,
            digest=written.digest,
            nbytes=written.nbytes,
            model_digest=model_digest,
            samples=20,
            report=pb.UpdateReport(metrics={"dice": pb.MeanMetric(sum=3.5, count=5)}, train_loss=0.5, steps=40),
        )


def make_plan(filters=(), **transport):
    return Plan(
        federation=FEDERATION,
        job=JobIdentity(name="brain", namespace="research", uid="uid-00000001"),
        sites=(SITE, "other"),
        model=Model(network=Network()),
        data=Data(dataset="brats"),
        rounds=Rounds(count=3, quorum=1, deadline_s=60, grace_s=0),
        privacy=Privacy(filters=filters),
        transport=Transport(**transport),
    )


@pytest.fixture
def model(tmp_path):
    """Return a model of 3.6 MB: path and digest."""
    path = tmp_path / "model.safetensors"
    generator = np.random.default_rng(7)
    values = {"conv.weight": generator.standard_normal((300, 3000), dtype=np.float32), "bias": np.zeros(7, np.float32)}
    return path, write_tensors(path, values).digest


@pytest.fixture
async def hub(model):
    authority = Authority.create(FEDERATION, datetime.now(UTC))
    name = aggregator_name("brain", "research", FEDERATION)
    hub = Hub(authority.issue(Identity(FEDERATION, "job", "uid-00000001"), [name], datetime.now(UTC), DAY))
    hub.authority = authority
    path, digest = model
    hub.models[digest] = path.read_bytes()
    await hub.start()
    yield hub
    await hub.stop()


@pytest.fixture
async def make_site(tmp_path, hub):
    """Start sites with a plan's filters, a floor and a budget."""
    sites = []

    async def start(filters=(), floor=(), budget=None, **transport):
        plan = make_plan(filters, **transport)
        site = Site(tmp_path, hub.authority, hub, Ed25519PrivateKey.generate(), Audit(), plan, floor, budget)
        await site.start()
        sites.append(site)
        return site

    yield start
    for site in sites:
        await site.close()


@pytest.fixture
async def site(make_site):
    """Return a site whose updates pass no filter."""
    return await make_site()


@pytest.fixture
async def filtering_site(make_site):
    """Return a site whose plan clips each update's norm to 1."""
    return await make_site(filters=(NormClip(name="normClip", max_norm=1.0),))


@pytest.fixture
async def aggregator(tmp_path, model):
    """A real aggregator, whose job has this site alone."""
    folder = tmp_path / "aggregator"
    folder.mkdir()
    shutil.copy(model[0], folder / "initial.safetensors")
    bench = Bench(folder, HandClock(), sites=(SITE,), rounds=Rounds(count=2, quorum=1, deadline_s=60, grace_s=0))
    async with bench.running():
        await bench.until(lambda state: state.latest is not None)
        yield bench


@pytest.fixture
async def member(tmp_path, aggregator):
    """A site whose gateway is connected to that aggregator."""
    site = Site(tmp_path, aggregator.authority, aggregator, Ed25519PrivateKey.generate(), Audit(), aggregator.plan)
    await site.start()
    yield site
    await site.close()


@pytest.fixture
def make_update(tmp_path, model):
    path, digest = model
    return lambda seed=1, **more: Update(tmp_path, path, digest, seed, **more)
