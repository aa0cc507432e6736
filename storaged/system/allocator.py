"""Settings of the C library's allocator and of Python's garbage collector that suit our daemons."""

from __future__ import annotations

import ctypes
import gc

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


def collect_seldom() -> None:
    """Let Python look for cycles of garbage less often.

    Nearly all that a request leaves is freed at once, by counting references; looking for the rest after every 700 new
    objects, as is the default, took a tenth of the front's time with small files.
    """
    gc.set_threshold(20_000, 20, 20)


def keep_for_ever() -> None:
    """Take everything that exists now for something that stays: the garbage collector never looks at it again."""
    gc.collect()
    gc.freeze()
