"""Images of a single binary, written as an archive that containerd loads: no builder and no registry needed."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(archive: Path, name: str, binary: Path, arguments: Sequence[str] = ()) -> Path:
    """Write the archive of an image that runs one binary as its root user, and return its path.

    Args:
        archive: where to write it.
        name: the image's.
        binary: what it runs; static, as there is nothing else.
        arguments: of the binary.
    """
    layer = _tar({binary.name: (binary.read_bytes(), 0o755)})
    config = {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": [f"/{binary.name}", *arguments]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    encoded = json.dumps(config).encode()
    named = f"{hashlib.sha256(encoded).hexdigest()}.json"
    manifest = [{"Config": named, "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {named: encoded, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    archive.write_bytes(_tar({file: (content, 0o644) for file, content in files.items()}))
    return archive


def _tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
