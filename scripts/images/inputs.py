"""Says in one word what an image is made of, so that it is made again only where that has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from scripts.images.base import Base
from scripts.images.parts import ROOT, Part

_ALWAYS = ("scripts/images/unpack_debian.sh", "scripts/images/contexts.py", "pyproject.toml")


def digest_of_inputs(part: Part, base: Base) -> str:
    """Digest the part's description, the base, and every file that goes in or decides how."""
    digest = hashlib.sha256(f"{part!r}\n{base.identity}\n".encode())
    for path in _files(part):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(ROOT)} {content}\n".encode())
    return digest.hexdigest()


def _files(part: Part) -> Iterator[Path]:
    yield from (ROOT / name for name in (part.dockerfile, *_ALWAYS))
    if part.lock is not None:
        yield ROOT / "requirements" / f"{part.lock}.txt"
    for package in part.packages:
        (source,) = ROOT.glob(f"*/{package}")
        yield from (path for path in sorted(source.rglob("*")) if path.is_file() and path.suffix != ".pyc")
