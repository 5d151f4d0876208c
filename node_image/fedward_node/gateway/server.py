"""The gateway's gRPC server: its own service and the standard health service, behind a certificate that is renewed."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from fedward_node.gateway.certificate import CertificateFolder
from fedward_node.gateway.service import Gateway
from fedward_protocol import tls


class Server:
    """A server for trainers on `listen` (host:port; port 0 lets the system choose), whose port is `port`."""

    def __init__(self, gateway: Gateway, certificates: CertificateFolder, listen: str) -> None:
        self._server = grpc.aio.server(options=tls.SERVER_OPTIONS)
        self._server.add_generic_rpc_handlers((gateway.handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), self._server)
        # Kept: gRPC asks these for the certificate at each connection, and holds no reference of its own.
        self._credentials = tls.renewable_server_credentials(
            lambda: certificates.current().credentials, require_client=False
        )
        self.port = self._server.add_secure_port(listen, self._credentials)

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()

    async def stop(self, grace_s: float | None) -> None:
        """Take no more calls, and cut off those that go on for longer than `grace_s` seconds."""
        await self._server.stop(grace_s)
