"""Updates on disk as they arrive: resumable by offset, digest-checked, durable before anybody is told."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from fedward_protocol.durable import sync_directory
from fedward_protocol.reasons import Reason, RefusedError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an update belongs: one for each site in each round of an attempt."""

    attempt: int
    round: int
    site: str


class Disk:
    """What the spool asks of the disk; tests bring one that runs full."""

    def write(self, fd: int, data: bytes, offset: int) -> None:
        """Write all of `data` at `offset`; OSError with ENOSPC when there is no room."""
        view = memoryview(data)
        while view:
            count = os.pwrite(fd, view, offset)
            view, offset = view[count:], offset + count

    def sync(self, fd: int) -> None:
        """Make a file's contents durable."""
        os.fsync(fd)

    def free(self, path: Path) -> int:
        """Give the bytes that are free on the disk of `path`."""
        return shutil.disk_usage(path).free


class Spool:
    """The updates of the open round under `root`, a folder a round, a file an update, named by site and digest.

    A file is complete when the journal says so; before that its length says from where to resume. What a power cut
    leaves at its end may be anything: the digest finds out. Blocking, and safe to call from several threads.
    """

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self._root = root
        self._disk = disk or Disk()
        self._partials: dict[Slot, _Partial] = {}
        self._lock = threading.Lock()
        root.mkdir(parents=True, exist_ok=True)

    def path(self, slot: Slot, digest: bytes) -> Path:
        """Give the place of an update."""
        return self._folder(slot.attempt, slot.round) / f"{slot.site}.{digest.hex()}"

    def receive(self, slot: Slot, digest: bytes, nbytes: int, reserve: int = 0) -> Upload:
        """Take up an update where it was left, or begin it; an upload of the same slot that still runs is cut off.

        What is there of another update in the same slot is deleted, unless that one is complete: it may be acknowledged
        by now, or be just about to.

        Args:
            slot: where the update belongs.
            digest: SHA-256 of the whole file.
            nbytes: its length.
            reserve: bytes that must stay free besides, for the models that are made from the updates.

        Raises:
            RefusedError: STORAGE_FULL, there is no room for the rest; ALREADY_SUBMITTED, another update is complete.
        """
        with self._lock:
            partial = self._partials.get(slot)
            if partial is not None and (partial.digest, partial.nbytes) != (digest, nbytes):
                partial.give_way()
                partial = None
            if partial is None or partial.is_closed:
                partial = self._partials[slot] = self._open(slot, digest, nbytes)
        upload = partial.take_over()
        room = self._disk.free(self._root) - reserve
        if nbytes - upload.offset > room:
            raise RefusedError(Reason.STORAGE_FULL, f"{nbytes - upload.offset} bytes to come, room for {max(0, room)}")
        return upload

    def sweep(self, kept: Collection[tuple[int, int]]) -> None:
        """Delete all updates but those of the `kept` (attempt, round) pairs; uploads of others are cut off."""
        with self._lock:
            for slot in [slot for slot in self._partials if (slot.attempt, slot.round) not in kept]:
                self._partials.pop(slot).close()
            folders = [self._folder(attempt, round_number) for attempt, round_number in kept]
            for folder in self._root.iterdir():
                if folder not in folders:
                    shutil.rmtree(folder, ignore_errors=True)

    def nbytes(self) -> int:
        """Count the bytes in the spool."""
        total = 0
        for path in self._root.glob("*/*"):
            try:
                total += path.stat().st_size
            except FileNotFoundError:  # swept meanwhile
                continue
        return total

    def _folder(self, attempt: int, round_number: int) -> Path:
        return self._root / f"{attempt}-{round_number}"

    def _open(self, slot: Slot, digest: bytes, nbytes: int) -> _Partial:
        path = self.path(slot, digest)
        try:
            if not path.parent.is_dir():
                path.parent.mkdir()
                sync_directory(self._root)
            for stale in path.parent.glob(f"{slot.site}.*"):
                if stale != path:
                    stale.unlink()
            return _Partial(path, digest, nbytes, self._disk)
        except OSError as error:
            raise _as_refusal(error) from error


class Upload:
    """One stream's hold on a partial update; it ends when another stream takes the same update over."""

    def __init__(self, partial: _Partial, hold: int) -> None:
        self._partial = partial
        self._hold = hold

    @property
    def offset(self) -> int:
        """How many bytes are there: where the next chunk must start."""
        return self._partial.offset

    @property
    def path(self) -> Path:
        """Where the update lies."""
        return self._partial.path

    def write(self, offset: int, data: bytes) -> None:
        """Append a chunk.

        Raises:
            RefusedError: WRONG_OFFSET, it does not start where the last one ended, or another stream has taken over;
                MALFORMED, there are more bytes than were announced; STORAGE_FULL, and the chunk may be sent again.
        """
        self._partial.write(self._hold, offset, data)

    def finish(self) -> None:
        """Check the digest and make the file durable.

        Raises:
            RefusedError: WRONG_DIGEST, and the file is gone, so that it can be sent again; STORAGE_FULL.
        """
        self._partial.finish(self._hold)

    def discard(self) -> None:
        """Delete the update: it is refused for what it holds."""
        self._partial.discard()

    def reopen(self) -> None:
        """Say that the finished update was not acknowledged after all, so that another may take its place."""
        self._partial.reopen()

    def close(self) -> None:
        """Let go of the file, which stays: the update is complete and known to the journal."""
        self._partial.close()


class _Partial:
    """A file that grows, with the digest of what is in it."""

    def __init__(self, path: Path, digest: bytes, nbytes: int, disk: Disk) -> None:
        self.path, self.digest, self.nbytes, self.offset = path, digest, nbytes, 0
        self._disk = disk
        self._lock = threading.Lock()
        self._hold = 0
        self._is_finished = False
        self._hash = hashlib.sha256()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._fd).st_size > nbytes:
            os.ftruncate(self._fd, 0)
        # After a restart the hash is taken from the file; between two streams of one process it is simply kept.
        while data := os.pread(self._fd, _READ, self.offset):
            self._hash.update(data)
            self.offset += len(data)

    @property
    def is_closed(self) -> bool:
        return self._fd < 0

    def take_over(self) -> Upload:
        with self._lock:
            self._hold += 1
            return Upload(self, self._hold)

    def write(self, hold: int, offset: int, data: bytes) -> None:
        with self._lock:
            self._check(hold)
            if offset != self.offset:
                raise RefusedError(Reason.WRONG_OFFSET, f"it starts at {offset}, not at {self.offset}")
            if offset + len(data) > self.nbytes:
                raise RefusedError(Reason.MALFORMED, f"more than the {self.nbytes} bytes that were announced")
            try:
                self._disk.write(self._fd, data, offset)
            except OSError as error:
                os.ftruncate(self._fd, self.offset)
                raise _as_refusal(error) from error
            self._hash.update(data)
            self.offset += len(data)

    def finish(self, hold: int) -> None:
        with self._lock:
            # Another stream with the very same update may have finished, and let go, while this one waited.
            if self._is_finished:
                return
            self._check(hold)
            if self._hash.digest() != self.digest:
                self._remove()
                raise RefusedError(Reason.WRONG_DIGEST, f"they have {self._hash.hexdigest()}")
            try:
                self._disk.sync(self._fd)
                sync_directory(self.path.parent)
            except OSError as error:
                raise _as_refusal(error) from error
            # Under the lock that `give_way` takes: from here on no other update can delete this one.
            self._is_finished = True

    def give_way(self) -> None:
        with self._lock:
            if self._is_finished:
                raise RefusedError(Reason.ALREADY_SUBMITTED, "another update of the site is complete")
            self._remove()

    def discard(self) -> None:
        with self._lock:
            self._is_finished = False
            self._remove()

    def reopen(self) -> None:
        with self._lock:
            self._is_finished = False

    def close(self) -> None:
        with self._lock:
            self._close()

    def _check(self, hold: int) -> None:
        if hold != self._hold or self.is_closed:
            raise RefusedError(Reason.WRONG_OFFSET, "another stream has taken this update over")

    def _remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _as_refusal(error: OSError) -> Exception:
    return RefusedError(Reason.STORAGE_FULL, error.strerror or "") if error.errno in _FULL else error
