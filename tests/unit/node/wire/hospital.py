"""A hospital: its gateway, a real server, what its trainers are given, and updates that they might send."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import grpc
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.unit.node.wire.hub import Hub

from fedward_node.gateway.assembly import assemble
from fedward_node.gateway.metrics import Metrics
from fedward_protocol import tls, work_order
from fedward_protocol.certificate import CertificateFolder
from fedward_protocol.identity import Identity, aggregator_name, gateway_name
from fedward_protocol.plan import Data, JobIdentity, Model, Network, Plan, Privacy, Rounds, Transport
from fedward_protocol.server import Server
from fedward_protocol.tensors.layout import Layout
from fedward_protocol.tensors.update import encode_update
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import (
    FederationStub,
)

FEDERATION = "north.example"
SITE = "mercy"
DAY = timedelta(days=1)


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
