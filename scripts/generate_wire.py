"""Generates the typed stubs of the gRPC service from its .proto, into protocol/ or into the folder given.

Usage: python scripts/generate_wire.py [FOLDER]
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

PROTOCOL = Path(__file__).resolve().parent.parent / "protocol"
PROTO = "fedward_protocol/wire/federation.proto"


def generate(folder: Path) -> None:
    """Write federation_pb2*.py and their types under `folder`, as the package's path.

    Raises:
        subprocess.CalledProcessError: the compiler found an error and has printed it.
    """
    outputs = [f"--{kind}_out={folder}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    # The compiler finds its plug-ins, protoc-gen-mypy and protoc-gen-mypy_grpc, by PATH.
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, PROTO]
    subprocess.run(command, cwd=PROTOCOL, env={**os.environ, "PATH": path}, check=True)  # noqa: S603 (our own words)


if __name__ == "__main__":
    generate(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else PROTOCOL)
