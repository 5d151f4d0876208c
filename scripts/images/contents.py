"""Takes stock of an image: how much it measures, and which packages of Debian's and of Python's it holds."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Literal

from scripts.images import archive

_DEBIAN = "var/lib/dpkg/status.d/"
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One installed package."""

    kind: Literal["deb", "pypi"]
    name: str
    version: str
    licence: str | None = None
    architecture: str | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found in all layers."""

    nbytes: int
    packages: tuple[Package, ...]


def take_stock(path: Path) -> Contents:
    """Read the image in the OCI archive `path`."""
    nbytes, packages = 0, set()
    for name, size, content in archive.files(path, _describes_a_package):
        nbytes += size
        if content:
            packages.add(_debian(content) if name.startswith(_DEBIAN) else _python(content))
    return Contents(nbytes, tuple(sorted(packages, key=lambda package: (package.kind, package.name))))


def _describes_a_package(name: str) -> bool:
    return name.startswith(_DEBIAN) or name.endswith(".dist-info/METADATA")


def _debian(content: bytes) -> Package:
    said = HeaderParser().parsestr(content.decode())
    return Package("deb", said["Package"], said["Version"], architecture=said["Architecture"])


def _python(content: bytes) -> Package:
    said = HeaderParser().parsestr(content.decode())
    return Package("pypi", said["Name"].lower().replace("_", "-"), said["Version"], _licence(said))


def _licence(said: Message) -> str | None:
    """Take the first of the three ways of saying it, from the newest to the oldest."""
    if expression := said["License-Expression"]:
        return str(expression)
    classifiers = [
        each.rpartition(" :: ")[2] for each in said.get_all("Classifier", []) if each.startswith("License ::")
    ]
    if classifiers:
        return ", ".join(classifiers)
    # Some put the whole text there.
    named = said["License"] or ""
    return named if 0 < len(named) < _LONGEST_NAME and "\n" not in named else None
