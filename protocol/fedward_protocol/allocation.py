"""How the C library's allocator is set for processes that move chunks."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # mallopt(3)
_LARGEST_KEPT = 8 << 20
_KEPT_NBYTES = 16 << 20


def keep_chunk_buffers() -> None:
    """Let freed buffers of a few MiB be used again, instead of being given back to the kernel each time.

    By default glibc maps a buffer of 1 MiB anew for each chunk, and the kernel's clearing of its pages costs as much
    as encrypting it. One arena for all threads: with one a thread, each would keep buffers that the others miss.
    Does nothing where the C library is another.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_TRIM_THRESHOLD, _KEPT_NBYTES)
