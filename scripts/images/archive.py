"""Reads an image's OCI archive: its digest, its layers, and the files that say what is installed in it."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as registries keep it."""

    digest: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class Image:
    """What the archive's manifest says."""

    digest: str
    layers: tuple[Layer, ...]


def image(archive: Path) -> Image:
    """Read the manifest of the one image that the archive holds."""
    with tarfile.open(archive) as opened:
        digest, manifest = _manifest(opened)
    return Image(digest, tuple(Layer(each["digest"], each["size"]) for each in manifest["layers"]))


def files(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, int, bytes]]:
    """Go through the regular files of all layers: path, size, and the content of those that are wanted."""
    with tarfile.open(archive) as opened:
        _, manifest = _manifest(opened)
        for described in manifest["layers"]:
            blob = opened.extractfile(_blob(described["digest"]))
            with tarfile.open(fileobj=blob, mode="r|*") as layer:
                for member in layer:
                    if member.isfile():
                        content = layer.extractfile(member) if wanted(member.name) else None
                        yield member.name, member.size, content.read() if content else b""


def _manifest(opened: tarfile.TarFile) -> tuple[str, dict[str, Any]]:
    (described,) = _json(opened, "index.json")["manifests"]
    return described["digest"], _json(opened, _blob(described["digest"]))


def _blob(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    return f"blobs/{algorithm}/{value}"


def _json(opened: tarfile.TarFile, name: str) -> dict[str, Any]:
    content = opened.extractfile(name)
    assert content is not None
    found: dict[str, Any] = json.load(content)
    return found
