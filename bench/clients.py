"""A site that does not train: it fetches each model and submits an update made beforehand, over the real wire.

Session and transfers are the trainer's own, towards a gateway or straight to the aggregator, so what is measured is
everything but the hospital's training.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from fedward_node.trainer.backoff import jittered
from fedward_node.trainer.session import Session
from fedward_node.trainer.transfer import Metadata, Transfer
from fedward_protocol import tls
from fedward_protocol.allocation import keep_chunk_buffers
from fedward_protocol.digest import FileDigest, digest_file
from fedward_protocol.identity import aggregator_name, gateway_name
from fedward_protocol.pki import Credentials
from fedward_protocol.plan import Plan
from fedward_protocol.versions import SUPPORTED
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub
from fedward_protocol.work_order import METADATA_KEY

if TYPE_CHECKING:
    from fedward_protocol.wire.federation_pb2_grpc import FederationAsyncStub

CASES = 10
METRICS = {"dice": pb.MeanMetric(sum=8.0, count=CASES)}


class Site:
    """Follows instructions until the job is finished."""

    def __init__(self, job: pb.JobRef, name: str, transfer: Transfer, session: Session, update: Path) -> None:
        self._job, self._name, self._transfer, self._session = job, name, transfer, session
        self._update, self._digest = update, digest_file(update)

    async def run(self, folder: Path) -> None:
        while True:
            match await self._session.next():
                case pb.Train() as order:
                    await self._train(order, folder / "model.safetensors")
                case pb.Evaluate() as order:
                    self._session.tell(
                        pb.Evaluation(round=order.model.round, model_digest=order.model.digest, metrics=METRICS)
                    )
                case pb.Finish():
                    return
                case _:
                    continue

    async def _train(self, order: pb.Train, model: Path) -> None:
        # By name a model of another round: what is there already is never believed to be this one.
        path = model.with_stem(f"model-{order.round}")
        await self._transfer.fetch(self._job, order.model, path)
        path.unlink()
        await self._transfer.submit(_header(self._job, self._name, order, self._digest), self._update)


def _header(job: pb.JobRef, site: str, order: pb.Train, update: FileDigest) -> pb.UpdateHeader:
    return pb.UpdateHeader(
        job=job,
        site=site,
        round=order.round,
        digest=update.digest,
        nbytes=update.nbytes,
        model_digest=order.model.digest,
        samples=CASES,
        report=pb.UpdateReport(metrics=METRICS),
    )


async def _take_part(chosen: argparse.Namespace) -> None:
    plan = Plan.parse(chosen.plan.read_bytes())
    credentials = Credentials.read(chosen.tls)
    if chosen.work_order:
        trust: Credentials | bytes = credentials.ca_pem
        server = gateway_name(chosen.site, plan.federation)
        metadata: Metadata = ((METADATA_KEY, chosen.work_order.read_bytes()),)
    else:
        trust, metadata = credentials, ()
        server = aggregator_name(plan.job.name, plan.job.namespace, plan.federation)
    job = pb.JobRef(uid=plan.job.uid, attempt=1)
    hello = pb.Hello(
        job=job,
        site=chosen.site,
        versions=pb.VersionRange(lowest=SUPPORTED.lowest, highest=SUPPORTED.highest),
        software="bench",
        training_cases=CASES,
        validation_cases=CASES,
        plan=plan.canonical() if chosen.work_order else b"",
    )
    options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", server))
    async with grpc.aio.secure_channel(chosen.address, tls.channel_credentials(trust), options=options) as channel:
        stub: FederationAsyncStub = FederationStub(channel)
        session = Session(lambda: stub.Attend(metadata=metadata), hello, lambda _: pb.Vitals(), jittered(random.random))
        transfer = Transfer(lambda: channel, lambda: metadata, plan.transport.compression)
        attending = asyncio.create_task(session.run())
        following = asyncio.create_task(Site(job, chosen.site, transfer, session, chosen.update).run(chosen.state))
        await asyncio.wait({attending, following}, return_when=asyncio.FIRST_COMPLETED)
        attending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await attending
        await following


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--site", required=True)
    parser.add_argument("--update", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--tls", type=Path, required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--work-order", type=Path, help="through a gateway; without it, straight to the aggregator")
    keep_chunk_buffers()
    asyncio.run(_take_part(parser.parse_args()))


if __name__ == "__main__":
    main()
