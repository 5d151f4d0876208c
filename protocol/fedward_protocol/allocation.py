"""How the C library's allocator is set for processes that move chunks."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_LARGEST_KEPT = 8 << 20
_KEPT_NBYTES = 64 << 20


def keep_chunk_buffers() -> None:
    """Let freed buffers of a few MiB be used again, instead of being given back to the kernel each time.

    By default glibc maps a buffer of 1 MiB anew for each chunk, and the kernel's clearing of its pages costs as much
    as encrypting it. At most 64 MiB that are free stay with the process. Does nothing where the C library is another.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_NBYTES)
