"""How many cores this process may use."""

from __future__ import annotations

import math
import os

from storaged.system.settings import SettingsError, read_text

_LIMIT = "/sys/fs/cgroup/cpu.max"
"""The limit of a container, as its own processes see it (Linux, control groups of version 2)."""


def usable_cores(limit: str = _LIMIT) -> int:
    """Return how many cores this process may use at the same time, by its affinity and the limit of its container.

    :param limit: the file of the limit, which need not exist.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, _, period = read_text(limit).partition(" ")
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (SettingsError, ValueError, ZeroDivisionError):  # there is no such file, or it says "max"
        return cores
