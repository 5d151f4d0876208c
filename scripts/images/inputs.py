"""Says in one word what an image is made of, so that it is made again only where that has changed."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

from scripts.images.base import Base
from scripts.images.parts import ROOT, Part

_ALWAYS = ("LICENSE", "scripts/images/unpack_debian.sh", "scripts/images/contexts.py")


def digest_of_inputs(part: Part, base: Base, root: Path = ROOT) -> str:
    """Digest the part's description, the base, and every file that goes in or decides how."""
    digest = hashlib.sha256(f"{part!r}\n{base.identity}\n".encode())
    # The rest of pyproject.toml is about developing.
    packaged = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    digest.update(json.dumps(packaged, sort_keys=True).encode())
    for path in _files(part, root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root)} {content}\n".encode())
    return digest.hexdigest()


def _files(part: Part, root: Path) -> Iterator[Path]:
    yield from (root / name for name in (part.dockerfile, *_ALWAYS))
    if part.lock is not None:
        yield root / "requirements" / f"{part.lock}.txt"
    for package in part.packages:
        (source,) = root.glob(f"*/{package}")
        found = [source] if source.is_file() else sorted(source.rglob("*"))
        yield from (path for path in found if path.is_file() and path.suffix != ".pyc")
