"""The image that building starts from: a public Debian, or where no registry answers, one made by mmdebstrap."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts.images.engine import Build, Engine

PUBLIC = "docker.io/library/debian:bookworm-slim"
BOOTSTRAP = "mmdebstrap"
"""What stands for a base made here instead of an image's name."""

_BOOTSTRAPPED = "localhost/fedward-base:bookworm"
_MIRROR = "http://deb.debian.org"
_SOURCES = tuple(
    f"deb {_MIRROR}/{archive} {suite} main"
    for archive, suite in (
        ("debian", "bookworm"),
        ("debian", "bookworm-updates"),
        ("debian-security", "bookworm-security"),
    )
)


@dataclass(frozen=True, slots=True)
class Base:
    """An image by name, and what it was when it was looked at."""

    name: str
    identity: str


def prepare(engine: Engine, asked: str | None, folder: Path) -> Base:
    """Make the base available; what mmdebstrap makes is kept in `folder`.

    Raises:
        FileNotFoundError: no registry gives it, and there is no mmdebstrap to make one.
    """
    name = asked or PUBLIC
    if asked != BOOTSTRAP and (engine.pull(name) or engine.identity(name)):
        return _identified(engine, name)
    if asked not in (None, BOOTSTRAP):
        raise FileNotFoundError(f"no registry gives the base {asked}: correct its name, or leave it out")
    if shutil.which("mmdebstrap") is None:
        raise FileNotFoundError(f"no registry gives {PUBLIC}: name a base with --base, or install mmdebstrap")
    if engine.identity(_BOOTSTRAPPED) is None:
        _bootstrap(engine, folder)
    return _identified(engine, _BOOTSTRAPPED)


def _identified(engine: Engine, name: str) -> Base:
    identity = engine.identity(name)
    if identity is None:
        raise FileNotFoundError(f"{name} was there a moment ago and is gone; try again")
    return Base(name, identity)


def _bootstrap(engine: Engine, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / "bookworm.tar"
    if not root.exists():
        partial = folder / "partial.tar"
        command = ["mmdebstrap", "--quiet", "--variant=apt", "bookworm", str(partial), *_SOURCES]
        subprocess.run(command, check=True)  # noqa: S603 (our own words)
        partial.rename(root)
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(f"FROM scratch\nADD {root.name} /\n")
    engine.build(Build(dockerfile, folder, _BOOTSTRAPPED))
