"""A setting of the C library's allocator that suits daemons which move large buffers."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3


def keep_large_buffers() -> None:
    """Let glibc serve large receive buffers from memory it keeps.

    By default it maps each buffer of 128 KiB and more afresh, and the kernel clears its pages each time: measured
    at half of the front's system time.  Elsewhere than on glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 * 1024 * 1024)
        mallopt(_M_TRIM_THRESHOLD, 16 * 1024 * 1024)
        mallopt(_M_TOP_PAD, 1024 * 1024)
