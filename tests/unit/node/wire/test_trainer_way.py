"""A trainer finds its gateway again when another authority signs for the federation since it began."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from fedward_node.trainer.way import Way
from fedward_protocol import tls
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

FEDERATION, NAME = "north.example", "gateway.mercy.north.example"
NOW = datetime.now(UTC)


@asynccontextmanager
async def gateway(authority, port=0):
    """Serve nothing, with a certificate of this authority."""
    shown = authority.issue(Identity(FEDERATION, "site", "mercy"), [NAME], NOW, timedelta(days=1))
    server = grpc.aio.server()
    port = server.add_secure_port(f"127.0.0.1:{port}", tls.server_credentials(shown, require_client=False))
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def answer(way):
    """Call what nobody serves; a gateway that is not believed cannot even say that."""
    with pytest.raises(grpc.aio.AioRpcError) as answered:
        await way.channel().unary_unary("/no.Such/Call")(b"", timeout=10)
    return answered.value.code()


async def test_the_authority_that_takes_over_is_believed_once_its_file_says_so(tmp_path):
    old, new = Authority.create(FEDERATION, NOW), Authority.create(FEDERATION, NOW)
    file = tmp_path / "ca.crt"
    file.write_bytes(old.ca_pem)
    async with gateway(old) as port, Way(f"127.0.0.1:{port}", NAME, file) as way:
        assert await answer(way) is grpc.StatusCode.UNIMPLEMENTED
        assert way.channel() is way.channel()
        before = way.channel()
    async with gateway(new, port), Way(f"127.0.0.1:{port}", NAME, file) as way:
        assert await answer(way) is grpc.StatusCode.UNAVAILABLE
        file.write_bytes(old.ca_pem + new.ca_pem)
        assert await answer(way) is grpc.StatusCode.UNIMPLEMENTED
        file.unlink()
        assert await answer(way) is grpc.StatusCode.UNIMPLEMENTED
        assert way.channel() is not before
