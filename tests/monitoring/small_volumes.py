"""Volumes that fill up: small ones of a process and its children, which nobody else sees and which end with them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

_UNSHARE = ("unshare", "--map-root-user", "--mount")
_MOUNT = """
while [ "$1" != -- ]; do
    mkdir -p "$1" && mount -t tmpfs -o "size=$2" tmpfs "$1" || exit
    shift 2
done
shift
exec "$@"
"""
_BALLAST = "ballast"


def _can_be_made() -> bool:
    return (
        shutil.which("unshare") is not None and subprocess.run([*_UNSHARE, "true"], capture_output=True).returncode == 0
    )


needs_volumes = pytest.mark.skipif(not _can_be_made(), reason="this machine lets nobody mount volumes of their own")


def with_volumes(sizes: Mapping[Path, int], command: Sequence[str]) -> list[str]:
    """Give the command that makes volumes, of so many bytes, at these folders and becomes another command."""
    wanted = (argument for folder, nbytes in sizes.items() for argument in (str(folder), str(nbytes)))
    return [*_UNSHARE, "sh", "-c", _MOUNT, "sh", *wanted, "--", *command]


def fill(pid: int, folder: Path, free_nbytes: int) -> None:
    """Leave so much room on the volume that a process has at a folder."""
    inside = _seen_by(pid, folder)
    with (inside / _BALLAST).open("ab") as ballast:
        os.posix_fallocate(ballast.fileno(), ballast.tell(), shutil.disk_usage(inside).free - free_nbytes)


def relieve(pid: int, folder: Path) -> None:
    """Give back what `fill` took."""
    (_seen_by(pid, folder) / _BALLAST).unlink()


def _seen_by(pid: int, folder: Path) -> Path:
    return Path(f"/proc/{pid}/root") / folder.relative_to("/")
