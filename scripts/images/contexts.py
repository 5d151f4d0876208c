"""Lays out what an image copies: the locked dependencies, and the packages of ours that the part has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from scripts.images.parts import PLATFORM, ROOT, RUNTIME_PYTHON, Drop, Part


def lay_dependencies(part: Part, folder: Path) -> None:
    """Install the part's locked dependencies into `folder`, by hash, for the image's Python whatever runs here.

    Raises:
        subprocess.CalledProcessError: the installer found an error and has printed it.
    """
    folder.mkdir(parents=True)
    if part.lock is None:
        return
    lock = ROOT / "requirements" / f"{part.lock}.txt"
    _uv(
        *("pip", "install", "--target", str(folder), "--python-version", RUNTIME_PYTHON, "--python-platform", PLATFORM),
        *("--require-hashes", "--only-binary", ":all:", "-r", str(lock)),
    )
    drop(folder, part.drops)


def lay_packages(part: Part, wheel: Path, folder: Path) -> None:
    """Unpack of `wheel` what the part has into `folder`: its packages, and the metadata that say the version."""
    folder.mkdir(parents=True)
    if not part.packages:
        return
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            top = member.split("/")[0]
            if top in part.packages or top.endswith(".dist-info"):
                archive.extract(member, folder)
    drop(folder, part.drops)
    (record,) = folder.glob("*.dist-info/RECORD")
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(line for line in lines if (folder / line.split(",")[0]).exists()))


def make_wheel(folder: Path) -> Path:
    """Build the wheel of the checkout into `folder`."""
    _uv(
        *("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder), str(ROOT)),
    )
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
    # Bytecode is made in the image, by the image's Python; a fixed date makes the wheel the same again.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=True, env=environment)  # noqa: S603 (our own words)
