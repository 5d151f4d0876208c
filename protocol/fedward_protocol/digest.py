"""What a file holds, said in 32 bytes: its SHA-256, with its length."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FileDigest:
    """The SHA-256 of a whole file (32 bytes) and the file's length in bytes."""

    digest: bytes
    nbytes: int


def digest_file(path: Path) -> FileDigest:
    """Read a file once, in pieces of at most 256 KiB, and return its digest.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        hashed = hashlib.file_digest(file, "sha256")
        return FileDigest(hashed.digest(), file.tell())
