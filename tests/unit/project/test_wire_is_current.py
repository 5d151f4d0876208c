"""The checked-in gRPC stubs are what federation.proto generates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WIRE = ROOT / "protocol" / "fedward_protocol" / "wire"


def test_the_stubs_are_what_the_proto_file_generates(tmp_path):
    subprocess.run([sys.executable, str(ROOT / "scripts/generate_wire.py"), str(tmp_path)], check=True, cwd=ROOT)
    generated = {path.name: path.read_text() for path in tmp_path.rglob("*_pb2*") if path.is_file()}
    checked_in = {path.name: path.read_text() for path in WIRE.glob("*_pb2*") if path.is_file()}
    assert generated, "the generator wrote nothing"
    assert generated.keys() == checked_in.keys()
    stale = [name for name in generated if generated[name] != checked_in[name]]
    assert not stale, f"run `make wire` and commit {stale}"
