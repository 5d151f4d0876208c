"""Writes a small record so that after a crash it is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from fedward_protocol.durable import sync_directory


def write_durably(path: Path, content: bytes) -> None:
    """Write `content` to `path`, on the disk before this returns; readers see the old file or the new one.

    Raises:
        OSError: the disk is full or broken; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.tmp")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)
