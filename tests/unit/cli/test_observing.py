"""Watching a job: over mutual TLS, to its last word, through every break of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from fedward_cli.documents import Documents
from fedward_cli.local import observe as observing
from fedward_cli.local.observe import observe
from fedward_cli.local.ports import Ports
from fedward_protocol import tls
from fedward_protocol.identity import Identity, aggregator_name
from fedward_protocol.pki import Authority, Credentials
from fedward_protocol.plan import Plan
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationServicer, add_FederationServicer_to_server

Script = Callable[[int], AsyncIterator[pb.Observation]]


def status(state: str) -> pb.Observation:
    return pb.Observation(status=pb.JobStatus(state=state))


class Aggregator(FederationServicer):
    """Says to its n-th observer what the script has for it."""

    def __init__(self, script: Script) -> None:
        self.script, self.calls, self.peers = script, 0, []

    async def Observe(self, request: Any, context: Any) -> AsyncIterator[pb.Observation]:  # noqa: N802
        self.calls += 1
        self.peers.append((tls.peer_identity(context).uri, request.job.uid, request.job.attempt))
        async for observation in self.script(self.calls):
            yield observation


@pytest.fixture
def plan(documents: Documents) -> Plan:
    return documents.plan()


@pytest.fixture
def credentials(plan: Plan) -> tuple[Credentials, Credentials]:
    """The aggregator's and the hub's."""
    now, day = datetime.now(UTC), timedelta(days=1)
    authority = Authority.create(plan.federation, now)
    name = aggregator_name(plan.job.name, plan.job.namespace, plan.federation)
    job = Identity(plan.federation, "job", plan.job.uid)
    hub = Identity(plan.federation, "hub")
    return authority.issue(job, [name], now, day), authority.issue(hub, [], now, day)


@asynccontextmanager
async def serving(aggregator: Aggregator, address: str, credentials: Credentials) -> AsyncIterator[None]:
    server = grpc.aio.server(options=tls.SERVER_OPTIONS)
    add_FederationServicer_to_server(aggregator, server)
    server.add_secure_port(address, tls.server_credentials(credentials, require_client=True))
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


async def no_wait(_seconds: float) -> None:
    return


@pytest.mark.timeout(60)
async def test_an_observer_comes_back_until_it_has_heard_the_last_word(
    plan: Plan, credentials: tuple[Credentials, Credentials]
) -> None:
    async def script(call: int) -> AsyncIterator[pb.Observation]:
        yield status("Training")
        if call == 1:
            return
        if call == 2:
            raise RuntimeError("the aggregator fell over")
        yield status("Completed")

    aggregator, heard = Aggregator(script), list[str]()
    with Ports() as ports:
        address = ports.reserve()
        async with serving(aggregator, address, credentials[0]):
            await observe(
                address, lambda: credentials[1], plan, 7, lambda o: heard.append(o.status.state), lambda: 0.5, no_wait
            )

    assert heard == ["Training", "Training", "Training", "Completed"]
    assert aggregator.peers[0] == (f"spiffe://{plan.federation}/hub", plan.job.uid, 7)


@pytest.mark.timeout(60)
async def test_what_comes_after_the_last_status_is_heard_even_when_the_stream_stays_open(
    plan: Plan, credentials: tuple[Credentials, Credentials]
) -> None:
    async def script(_call: int) -> AsyncIterator[pb.Observation]:
        yield status("Completed")
        yield pb.Observation(round_closed=pb.RoundClosed(round=3))
        await asyncio.Event().wait()

    heard = list[str | None]()
    with Ports() as ports:
        address = ports.reserve()
        async with serving(Aggregator(script), address, credentials[0]):
            await observe(
                address,
                lambda: credentials[1],
                plan,
                1,
                lambda o: heard.append(o.WhichOneof("body")),
                lambda: 0.5,
                no_wait,
            )

    assert heard == ["status", "round_closed"]


@pytest.mark.timeout(60)
async def test_each_connection_shows_the_certificate_of_its_moment(plan: Plan) -> None:
    now, day = datetime.now(UTC), timedelta(days=1)
    authority = Authority.create(plan.federation, now)
    name = aggregator_name(plan.job.name, plan.job.namespace, plan.federation)
    server = authority.issue(Identity(plan.federation, "job", plan.job.uid), [name], now, day)
    shown = iter(authority.issue(Identity(plan.federation, "site", site), [], now, day) for site in ("old", "renewed"))

    async def script(call: int) -> AsyncIterator[pb.Observation]:
        yield status("Training" if call == 1 else "Completed")

    aggregator, missed = Aggregator(script), list[str]()
    with Ports() as ports:
        address = ports.reserve()
        async with serving(aggregator, address, server):
            await observe(address, lambda: next(shown), plan, 1, lambda o: None, lambda: 0.5, no_wait, missed.append)

    assert [peer[0].rpartition("/")[2] for peer in aggregator.peers] == ["old", "renewed"]
    assert missed == ["it ended the call"]


@pytest.mark.timeout(60)
async def test_a_connection_that_does_not_come_about_is_begun_anew_and_said(
    plan: Plan, credentials: tuple[Credentials, Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing, "CONNECTS_WITHIN_S", 0.05)
    missed = list[str]()

    class GaveUpError(Exception):
        pass

    async def wait(_seconds: float) -> None:
        if len(missed) == 2:
            raise GaveUpError

    with Ports() as ports, pytest.raises(GaveUpError):
        await observe(
            ports.reserve(), lambda: credentials[1], plan, 1, lambda o: None, lambda: 0.5, wait, missed.append
        )
    assert missed[0].startswith("it does not answer")
