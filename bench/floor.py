"""The floor: a bare gRPC stream over mutual TLS that moves the same bytes between as many processes, and does no more.

Messages are 1 MiB of plain bytes, from memory to nowhere: no protobuf, no disk, no digest, no aggregation.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, cast

import grpc

from bench.processes import cpu_seconds
from fedward_protocol import tls
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority, Credentials

MESSAGE = 1 << 20
SERVER_NAME = "floor.bench"


@dataclass(frozen=True, slots=True)
class Floor:
    """What it took to move a model to each site and an update back: medians over the repeats."""

    seconds: float
    cpu_seconds: float


def measure(sites: int, nbytes: int, repeats: int = 3) -> Floor:
    """Move `nbytes` to each site and back at the same time, a server and a process a site, after one go to warm up."""
    with tempfile.TemporaryDirectory(prefix="fedward-floor-") as folder:
        _certify(Path(folder))
        server = _start("serve", folder, nbytes)
        port = _line(server)
        clients = [_start("move", folder, nbytes, port) for _ in range(sites)]
        try:
            for client in clients:
                _line(client)
            goes = [_go(server, clients) for _ in range(repeats + 1)][1:]
        finally:
            for process in [*clients, server]:
                cast("IO[str]", process.stdin).close()
                process.wait()
    return Floor(statistics.median(go.seconds for go in goes), statistics.median(go.cpu_seconds for go in goes))


def _go(server: subprocess.Popen[str], clients: list[subprocess.Popen[str]]) -> Floor:
    pids = [server.pid, *(client.pid for client in clients)]
    used, started = sum(map(cpu_seconds, pids)), time.perf_counter()
    for client in clients:
        cast("IO[str]", client.stdin).write("go\n")
        cast("IO[str]", client.stdin).flush()
    for client in clients:
        _line(client)
    return Floor(time.perf_counter() - started, sum(map(cpu_seconds, pids)) - used)


def _certify(folder: Path) -> None:
    now = datetime.now(UTC)
    authority = Authority.create("bench", now)
    for name, role in (("server", Identity("bench", "hub")), ("client", Identity("bench", "site", "floor"))):
        (folder / name).mkdir()
        authority.issue(role, [SERVER_NAME], now, timedelta(days=1)).write(folder / name)


def _start(role: str, folder: str, nbytes: int, port: str = "0") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.floor", role, folder, str(nbytes), port],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(process: subprocess.Popen[str]) -> str:
    line = cast("IO[str]", process.stdout).readline().strip()
    if not line:
        raise RuntimeError("a process of the floor ended early")
    return line


# ---------------------------------------------------------------- the processes


def _messages(nbytes: int) -> Iterator[bytes]:
    block = os.urandom(MESSAGE)
    for left in range(nbytes, 0, -MESSAGE):
        yield block if left >= MESSAGE else block[:left]


async def _serve(folder: Path, nbytes: int) -> None:
    async def fetch(request: bytes, context: Any) -> None:
        for message in _messages(nbytes):
            await context.write(message)

    async def submit(messages: Any, context: Any) -> bytes:
        received = 0
        async for message in messages:
            received += len(message)
        return str(received).encode()

    server = grpc.aio.server(options=tls.SERVER_OPTIONS)
    handlers = {
        "Fetch": grpc.unary_stream_rpc_method_handler(fetch),
        "Submit": grpc.stream_unary_rpc_method_handler(submit),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Floor", handlers),))
    credentials = tls.server_credentials(Credentials.read(folder / "server"), require_client=True)
    print(server.add_secure_port("127.0.0.1:0", credentials), flush=True)
    await server.start()
    with ThreadPoolExecutor(1) as waiting:
        await asyncio.get_running_loop().run_in_executor(waiting, sys.stdin.read)
    await server.stop(0)


def _move(folder: Path, nbytes: int, port: str) -> None:
    options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", SERVER_NAME))
    credentials = tls.channel_credentials(Credentials.read(folder / "client"))
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
        grpc.channel_ready_future(channel).result(30)
        fetch, submit = channel.unary_stream("/Floor/Fetch"), channel.stream_unary("/Floor/Submit")
        print("ready", flush=True)
        for _ in sys.stdin:
            received = sum(map(len, fetch(b"")))
            sent = int(submit(_messages(nbytes)))
            if (received, sent) != (nbytes, nbytes):
                raise RuntimeError(f"{received} bytes came and {sent} went, not {nbytes}")
            print("moved", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["serve", "move"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("nbytes", type=int)
    parser.add_argument("port")
    chosen = parser.parse_args()
    if chosen.role == "serve":
        asyncio.run(_serve(chosen.folder, chosen.nbytes))
    else:
        _move(chosen.folder, chosen.nbytes, chosen.port)


if __name__ == "__main__":
    main()
