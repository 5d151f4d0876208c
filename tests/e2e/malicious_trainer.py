"""What a researcher's code might try from inside a trainer's pod; run there, it prints what came of each attempt.

Arguments: the hospital's name, then places to reach, each HOST:PORT.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import grpc

from fedward_protocol import refusals, work_order
from fedward_protocol.identity import gateway_name
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub

_PATIENCE_S = 3


def reaches(place: str) -> str:
    """Try to connect; say what came of it."""
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _PATIENCE_S).close()
    except OSError as error:
        return type(error).__name__
    return "connected"


def writes(path: str) -> str:
    """Try to write a file."""
    try:
        Path(path).write_text("was here")
    except OSError as error:
        return type(error).__name__
    return "written"


def keys() -> list[str]:
    """Find every private key and token that this pod can read."""
    found = []
    for folder in ("/gateway", "/order", "/data", "/etc", "/run", "/var/run", "/tmp", "/state"):
        for path in Path(folder).rglob("*"):
            try:
                content = path.read_bytes() if path.is_file() else b""
            except OSError:
                continue
            if b"PRIVATE KEY" in content or path.name == "token":
                found.append(str(path))
    return found


def speaks(gateway: str, **wrong: object) -> str:
    """Say hello to the gateway with this job's work order, but for somebody or something else; return the answer."""
    plan = json.loads(Path("/order/plan.json").read_text())
    order = Path("/order/work-order").read_bytes()
    said = {"uid": plan["job"]["uid"], "attempt": 1, **wrong}
    hello = pb.Hello(
        job=pb.JobRef(uid=str(said["uid"]), attempt=int(str(said["attempt"]))),
        site=str(said.get("site", said["own"])),
        plan=Path("/order/plan.json").read_bytes().replace(*said.get("change", (b"", b""))),
    )
    credentials = grpc.ssl_channel_credentials(Path("/gateway/ca.crt").read_bytes())
    name = ("grpc.ssl_target_name_override", gateway_name(str(said["own"]), plan["federation"]))
    with grpc.secure_channel(gateway, credentials, [name]) as channel:
        metadata = () if said.get("without_order") else ((work_order.METADATA_KEY, said.get("order", order)),)
        call = FederationStub(channel).Attend(iter([pb.SiteMessage(hello=hello)]), metadata=metadata, timeout=60)
        try:
            next(call)
        except grpc.RpcError as error:
            refused = refusals.from_rpc_error(error)
            return refused.reason.value if refused else str(error.code())
    return "accepted"


def main(site: str, *places: str) -> None:
    """Try everything, and print what came of it."""
    gateway = f"{os.environ['FEDWARD_GATEWAY_SERVICE_HOST']}:8443"
    forged = bytearray(Path("/order/work-order").read_bytes())
    forged[len(forged) // 2] ^= 1
    told = {"own": site}
    result = {
        "gateway": reaches(gateway),
        "reaches": {place: reaches(place) for place in places},
        "writes": {path: writes(path) for path in ("/data/x", "/x", "/order/x", "/usr/lib/x")},
        "keys": keys(),
        "speaks": {
            "for another hospital": speaks(gateway, **{**told, "site": "south"}),
            "for another job": speaks(gateway, **told, uid="00000000-0000-0000-0000-000000000000"),
            "for another attempt": speaks(gateway, **told, attempt=7),
            "by another plan": speaks(gateway, **told, change=(b'"seed":', b'"seed": 1')),
            "with a forged order": speaks(gateway, **told, order=bytes(forged)),
            "without an order": speaks(gateway, **told, without_order=True),
        },
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
