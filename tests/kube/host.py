"""Where a cluster's processes run: on this machine as it is, or in a network namespace as on a machine of their own."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Host:
    """A place for processes.

    Attributes:
        address: where they listen, and by which everybody reaches them.
        services: addresses of the cluster's Services.
        port: of the API server; any free one where None.
        enter: what a command is put behind to run there.
    """

    address: str = "127.0.0.1"
    services: str = "10.0.0.0/16"
    port: int | None = None
    enter: tuple[str, ...] = ()

    @property
    def first_service(self) -> str:
        """The address of the Service `kubernetes`."""
        return str(ipaddress.ip_network(self.services)[1])


HERE = Host()
"""This machine, where only it reaches them."""
