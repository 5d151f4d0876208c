"""Whether a TCP connection reaches a server, and whether the proxy on the way lets it pass."""

from __future__ import annotations

from fedward_operator.checks.connection import LIMIT_S, ProxyRefusedError, Server, connect
from fedward_operator.checks.finding import Finding, Trouble, fine, wrong


def reach(about: str, server: Server, then: str) -> Finding:
    """Connect, and hang up."""
    way = f" through the proxy {server.proxy.address}" if server.proxy else ""
    try:
        with connect(server):
            return fine(about, f"{server.address} answers{way}")
    except ProxyRefusedError as error:
        hint = "; give user and password" if str(error).startswith("407") else ""
        said = f"the proxy {server.dialled.address} does not lead to {server.address}: it answers {error}{hint}"
        return wrong(about, Trouble.PROXY_REFUSED, said, then)
    except OSError as error:
        why = f"no answer within {LIMIT_S:g} s" if isinstance(error, TimeoutError) else error.strerror or str(error)
        return wrong(about, Trouble.UNREACHABLE, f"{server.dialled.address} cannot be reached: {why}", then)
