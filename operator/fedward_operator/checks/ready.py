"""Whether a part of this installation says that it can work."""

from __future__ import annotations

import http.client

from fedward_operator.checks.connection import Server, ask, connect
from fedward_operator.checks.finding import Finding, Trouble, fine, wrong


def ready(about: str, server: Server, then: str) -> Finding:
    """Ask for /readyz."""
    try:
        with connect(server) as stream:
            answer = ask(stream, server.host, "/readyz")
    except (OSError, http.client.HTTPException) as error:
        # A Service has the pods that are ready, and no others.
        said = f"no pod of it is ready: {server.address} does not answer ({error})"
        return wrong(about, Trouble.NOT_READY, said, then)
    words = answer.body.decode(errors="replace").strip()
    if answer.status != 200:
        return wrong(about, Trouble.NOT_READY, f"it answers {answer.status}: {words}", then)
    return fine(about, "it is ready")
