"""An operator that dies at one of its writes: `python -m tests.cluster.crashing before|after N <its arguments>`.

It ends, without any clean-up, right before or right after its N-th write; what it does until then is real.
"""

from __future__ import annotations

import os
import sys

from fedward_operator.kube.client import Client
from fedward_operator.main import main

WRITES = ("apply", "patch", "delete", "create")
CRASHED = 99


def crash_at(moment: str, number: int) -> None:
    """Let the client's N-th write be the process's last moment; Leases are not counted, as they come by the clock."""
    send = Client._send
    count = 0

    async def counted(self, verb, method, path, **arguments):
        nonlocal count
        if verb not in WRITES or "/leases" in path:
            return await send(self, verb, method, path, **arguments)
        count += 1
        mine = count
        if mine == number and moment == "before":
            os._exit(CRASHED)
        answer = await send(self, verb, method, path, **arguments)
        if mine == number and moment == "after":
            os._exit(CRASHED)
        return answer

    Client._send = counted


if __name__ == "__main__":
    crash_at(sys.argv[1], int(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
