"""Settings of the C library's allocator and of Python's garbage collector, for both daemons.

The module keeps no state; all of it applies to the whole process.  docs/decisions/0021 has the measurements.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_TOP_PAD = 1024 * 1024

TRIM_EVERY_S = 5.0
"""Seconds between two calls of `trim_heap`.  A call takes 1 to 4 ms if it has 20 MiB to return, which is less than
0.1 % of a core; the pages that are touched again cost about as much.
"""


def keep_large_buffers() -> None:
    """Make glibc serve large receive buffers of all threads from one heap, which it keeps.

    By default glibc maps each buffer of 128 KiB or more anew, and the kernel clears its pages each time; that took half
    of the front's system time.  By default each thread also has a heap of its own, whose free space the other threads
    cannot use; that wasted 25 MiB in a storage server.  Call this before any thread is started.  Without glibc it does
    nothing.
    """
    mallopt = _find("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 * 1024 * 1024)
        mallopt(_M_TRIM_THRESHOLD, 16 * 1024 * 1024)
        mallopt(_M_TOP_PAD, _TOP_PAD)
        mallopt(_M_ARENA_MAX, 1)


def trim_heap() -> None:
    """Return the free pages of glibc's heap to the kernel, also those between used blocks.

    By itself glibc returns only the end of the heap.  Buffers of a few hundred KiB lie between small blocks that live
    long, so the gaps of the largest burst so far would stay in memory for ever.  Without glibc this does nothing.
    """
    malloc_trim = _find("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(ctypes.c_size_t(_TOP_PAD))


def _find(name: str) -> Callable[..., Any] | None:
    """Return a function of the C library, or None if it has no such function."""
    return getattr(ctypes.CDLL(None), name, None)


def collect_seldom() -> None:
    """Make Python search for cycles of garbage less often.

    Reference counting frees at once nearly all objects of a request.  By default Python searches for the rest after
    every 700 new objects, which took a tenth of the front's time with small files.
    """
    gc.set_threshold(20_000, 20, 20)


def keep_for_ever() -> None:
    """Exempt all objects that exist now from garbage collection."""
    gc.collect()
    gc.freeze()
