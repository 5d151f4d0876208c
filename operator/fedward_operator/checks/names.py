"""Whether a name is known to the DNS that a pod asks."""

from __future__ import annotations

import ipaddress
import socket

from fedward_operator.checks.connection import Server
from fedward_operator.checks.finding import Finding, Trouble, fine, wrong


def resolve(about: str, server: Server, then: str) -> Finding:
    """Look the name up that a connection to a server begins with: the proxy's, where there is one."""
    host = server.dialled.host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return fine(about, f"{host} is an address and needs no DNS")
    try:
        found = socket.getaddrinfo(host, server.dialled.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return wrong(about, Trouble.NAME_UNRESOLVED, f"the DNS does not know {host}: {error.strerror or error}", then)
    return fine(about, f"{host} is {', '.join(sorted({str(each[4][0]) for each in found}))}")
