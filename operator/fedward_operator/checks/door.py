"""Whether the hub's door has pods, and leads nowhere but where a name is somebody's."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from fedward_operator.checks.connection import ProxyRefusedError, Server, secure
from fedward_operator.checks.finding import Finding, Trouble, fine, skipped, wrong

BACKENDS, STRANGERS = "pods of the door", "names that are nobody's"


def backed(slices: Sequence[Mapping[str, Any]], then: str) -> Finding:
    """Judge the EndpointSlices of its Service."""
    endpoints = [each for one in slices for each in one.get("endpoints") or ()]
    # Kubernetes: a condition that is not said counts as true.
    ready = [each for each in endpoints if (each.get("conditions") or {}).get("ready") is not False]
    if ready:
        return fine(BACKENDS, f"{len(ready)} of {len(endpoints)} take connections")
    said = f"none of {len(endpoints)} takes connections, so that no site reaches the hub"
    return wrong(BACKENDS, Trouble.DOOR_WITHOUT_PODS, said, then)


def closed_to(server: Server, name: str, then: str) -> Finding:
    """Ask for a server that does not exist; the door has to hang up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whoever answers is one too many, whatever certificate it shows.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with secure(server, context, name):
            said = f"{server.address} leads somewhere when {name} is asked for; is it the door of this chart?"
            return wrong(STRANGERS, Trouble.DOOR_PASSES_ANY_NAME, said, then)
    except (ssl.SSLError, ConnectionResetError):
        return fine(STRANGERS, f"the door hangs up when {name} is asked for")
    except (OSError, ProxyRefusedError) as error:
        return skipped(STRANGERS, f"{server.address} does not answer: {error}")
