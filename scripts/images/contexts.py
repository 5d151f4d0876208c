"""Lays out what an image copies: the locked dependencies, and the packages of ours that the part has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from scripts.images.parts import PLATFORM, ROOT, RUNTIME_PYTHON, Drop, Part


def lay(part: Part, folder: Path) -> dict[str, Path]:
    """Make in `folder` the contexts that the part's Dockerfile copies from, by name.

    Raises:
        subprocess.CalledProcessError: the installer found an error and has printed it.
    """
    if part.lock is None:
        return {}
    dependencies, packages = folder / "dependencies", folder / "fedward"
    lay_dependencies(ROOT / "requirements" / f"{part.lock}.txt", dependencies)
    lay_packages(part.packages, make_wheel(folder / "wheel"), packages)
    for laid in (dependencies, packages):
        drop(laid, part.drops)
    return {dependencies.name: dependencies, packages.name: packages}


def lay_dependencies(lock: Path, folder: Path) -> None:
    """Install what is locked into `folder`, by hash and from wheels, for the image's Python whatever runs here."""
    image = ("--python-version", RUNTIME_PYTHON, "--python-platform", PLATFORM)
    source = ("--require-hashes", "--only-binary", ":all:", "-r", str(lock))
    _uv("pip", "install", "--target", str(folder), *image, *source)


def lay_packages(packages: Iterable[str], wheel: Path, folder: Path) -> None:
    """Unpack the packages and modules of `wheel` that are named, and what says its version and licence, to `folder`."""
    wanted = set(packages)
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            above = (str(path) for path in PurePosixPath(member).parents)
            if member in wanted or not wanted.isdisjoint(above) or member.split("/")[0].endswith(".dist-info"):
                archive.extract(member, folder)
    (metadata,) = folder.glob("*.dist-info/METADATA")
    # Less the README: a change of it would be one of every image.
    metadata.write_text(metadata.read_text().partition("\n\n")[0] + "\n")
    # It lists the whole wheel, for an uninstaller that is not there.
    metadata.with_name("RECORD").unlink()


def make_wheel(folder: Path) -> Path:
    """Build the wheel of the checkout into `folder`."""
    _uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def drop(folder: Path, drops: Iterable[Drop]) -> None:
    """Remove what the patterns name."""
    for pattern in (pattern for each in drops for pattern in each.patterns):
        for path in sorted(folder.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _uv(*arguments: str) -> None:
    # The earliest date that a wheel can hold, whenever it is built.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}
    command = [sys.executable, "-m", "uv", "--quiet", *arguments]
    subprocess.run(command, check=True, env=environment)  # noqa: S603 (our own words)
