"""Where to compute: the device, how many threads, and how repeatably."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

_DRIVERS = ("/dev/nvidiactl", "/dev/kfd")
"""What a process with a GPU of NVIDIA's or AMD's finds."""

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def thread_count(environment: Mapping[str, str], cores: int, quota: str) -> int:
    """Decide how many threads to compute with.

    torch counts the machine's cores; a container may use far fewer, and threads beyond them only get in each other's
    way.

    Args:
        environment: its OMP_NUM_THREADS has the last word.
        cores: CPUs that this process may be scheduled on.
        quota: contents of the control group's cpu.max ("max 100000" or "250000 100000"), or nothing.
    """
    asked = environment.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    limit, _, period = quota.strip().partition(" ")
    if limit.isdigit() and period.isdigit():
        return max(1, min(cores, int(limit) // int(period)))
    return max(1, cores)


def lent_gpu(environment: Mapping[str, str], exists: Callable[[str], bool]) -> str | None:
    """Say by what a process can tell that it was lent a GPU; None where nothing points to one.

    Args:
        environment: the device plugin of NVIDIA names the GPUs in it; an image may ask for all, which lends none.
        exists: tells whether there is a file.
    """
    named = environment.get("NVIDIA_VISIBLE_DEVICES", "")
    if named not in ("", "void", "none", "all"):
        return f"NVIDIA_VISIBLE_DEVICES={named}"
    return next((node for node in _DRIVERS if exists(node)), None)


def available_threads() -> int:
    """Decide for this process, here and now."""
    quota = _QUOTA.read_text() if _QUOTA.is_file() else ""
    return thread_count(os.environ, len(os.sched_getaffinity(0)), quota)
