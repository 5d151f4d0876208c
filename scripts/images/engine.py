"""Buildah or Docker, whichever is here: the commands with which each pulls, names and builds images."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Build:
    """One image to be built."""

    dockerfile: Path
    context: Path
    tag: str
    target: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, Path] = field(default_factory=dict)

    def words(self) -> list[str]:
        """Give what both engines are told in the same words."""
        words = ["--file", str(self.dockerfile)]
        words += [word for name, value in self.arguments.items() for word in ("--build-arg", f"{name}={value}")]
        words += [word for name, folder in self.contexts.items() for word in ("--build-context", f"{name}={folder}")]
        words += ["--target", self.target] if self.target else []
        return [*words, str(self.context)]


class Engine(Protocol):
    """What builds images; whatever it builds has timestamps of zero, so that the same content has the same digest."""

    def identity(self, image: str) -> str | None:
        """Say which content the name stands for here; None where the image is not here."""

    def pull(self, image: str) -> bool:
        """Fetch the image; False where no registry gives it."""

    def build(self, asked: Build, *, fresh: bool = False) -> None:
        """Build the image and keep it under its tag; `fresh` takes no step from an earlier build."""

    def save(self, tag: str, archive: Path) -> None:
        """Write the image to an OCI archive, under its tag."""


def find() -> Engine:
    """Choose what builds.

    Raises:
        FileNotFoundError: neither is here.
    """
    if shutil.which("buildah"):
        return Buildah()
    if shutil.which("docker"):
        return Docker()
    raise FileNotFoundError("building images takes buildah, or docker with buildx, on the PATH; neither is there")


class Buildah:
    """Needs no daemon, but root or a user namespace (`buildah unshare make images`)."""

    def identity(self, image: str) -> str | None:
        """Give the image's id."""
        return _answer("buildah", "inspect", "--type", "image", "--format", "{{.FromImageID}}", image)

    def pull(self, image: str) -> bool:
        """Pull it."""
        return _answer("buildah", "pull", "--quiet", image) is not None

    def build(self, asked: Build, *, fresh: bool = False) -> None:
        """Build without a container runtime: its steps are ours, and run as they would on this machine."""
        cached = ("--no-cache",) if fresh else ()
        fixed = ("--isolation", "chroot", "--layers", "--format", "oci", "--timestamp", "0", *cached)
        _run("buildah", "build", "--quiet", *fixed, "--tag", asked.tag, *asked.words())

    def save(self, tag: str, archive: Path) -> None:
        """Push it to a file."""
        # Most of it is CUDA's and packed already: more effort would gain a twentieth and take three times as long.
        packing = ("--compression-format", "gzip", "--compression-level", "1")
        _run("buildah", "push", "--quiet", "--format", "oci", *packing, tag, f"oci-archive:{archive}:{tag}")


class Docker:
    """By way of buildx, with the image store of containerd: only this one keeps timestamps and writes OCI archives."""

    def identity(self, image: str) -> str | None:
        """Give the image's id."""
        return _answer("docker", "image", "inspect", "--format", "{{.Id}}", image)

    def pull(self, image: str) -> bool:
        """Pull it."""
        return _answer("docker", "pull", "--quiet", image) is not None

    def build(self, asked: Build, *, fresh: bool = False) -> None:
        """Build without attestations, which would say when and where."""
        fixed = ("--provenance=false", "--build-arg", "SOURCE_DATE_EPOCH=0", *(("--no-cache",) if fresh else ()))
        output = f"type=image,name={asked.tag},rewrite-timestamp=true"
        _run("docker", "buildx", "build", "--quiet", *fixed, "--output", output, *asked.words())

    def save(self, tag: str, archive: Path) -> None:
        """Save it; with this image store, that is an OCI archive."""
        _run("docker", "save", "--output", str(archive), tag)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (our own words)


def _answer(*command: str) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 (our own words)
    return done.stdout.strip() if done.returncode == 0 else None
