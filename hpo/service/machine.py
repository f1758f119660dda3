"""What this machine has for workers: processor cores and memory."""

import os
from contextlib import suppress
from pathlib import Path

import psutil

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
USABLE = 0.9  # of the memory: the system and the workers themselves need some


def cores_each(workers: int) -> int:
    """The cores for each of so many workers alike, at least one."""
    return max(1, _cores() // workers)


def memory_gb_each(workers: int) -> float:
    """The memory for each of so many workers, in GiB: of the machine's, or its container's."""
    limits = [psutil.virtual_memory().total]
    with suppress(OSError, ValueError):  # a number only where there is a limit
        limits.append(int(CGROUP_LIMIT.read_text(encoding="ascii")))
    return USABLE * min(limits) / 2**30 / workers


def _cores() -> int:
    """The processor's cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
