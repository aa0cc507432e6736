"""CRC32C of bytes, and of views of bytes.  Pure.

google-crc32c takes no view.  ISA-L does, and needs two thirds of the time for bytes that have left the processor's
cache, though each call costs 1 µs more.  Without it, views are copied.
"""

from __future__ import annotations

import google_crc32c

from storaged.system.buffers import Piece
from storaged.system.isal import find_isal

_LARGE = 16 * 1024
"""Bytes from which on ISA-L is the faster one."""


def extend(checksum: int, data: Piece) -> int:
    """Return the checksum of bytes that follow others.

    :param checksum: that of the others; 0 if there are none.
    """
    if len(data) >= _LARGE:
        isal = find_isal()
        if isal is not None:
            return isal.crc32c(checksum, data)
    extended: int = google_crc32c.extend(checksum, data if isinstance(data, bytes) else bytes(data))
    return extended


def value(data: Piece) -> int:
    """Return the checksum of bytes."""
    return extend(0, data)
