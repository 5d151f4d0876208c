"""A gRPC server: a service beside the standard health service, behind a certificate that is renewed while it serves."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from fedward_protocol import tls
from fedward_protocol.certificate import CertificateFolder


class Server:
    """Serves on `listen` (host:port; port 0 lets the system choose), whose port is `port`.

    Args:
        service: what is served.
        certificates: asked at each new connection; connections that are open stay as they are.
        listen: where.
        require_client: whether callers have to show a certificate of the same authority.
    """

    def __init__(
        self, service: grpc.GenericRpcHandler, certificates: CertificateFolder, listen: str, *, require_client: bool
    ) -> None:
        self._server = grpc.aio.server(options=tls.SERVER_OPTIONS)
        self._server.add_generic_rpc_handlers((service,))
        health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), self._server)
        # Kept: gRPC asks these for the certificate at each connection, and holds no reference of its own.
        self._credentials = tls.renewable_server_credentials(
            lambda: certificates.current().credentials, require_client=require_client
        )
        self.port = self._server.add_secure_port(listen, self._credentials)

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()

    async def stop(self, grace_s: float | None) -> None:
        """Take no more calls, and cut off those that go on for longer than `grace_s` seconds."""
        await self._server.stop(grace_s)
