"""CRC32C of bytes, and of views of bytes.  Pure.

google-crc32c takes no view.  awscrt does, and needs half the time for many bytes, but twice the time for few.
"""

from __future__ import annotations

import google_crc32c

from storaged.system.buffers import Piece

_LARGE = 16 * 1024
"""Bytes from which on awscrt is the faster one."""


def extend(checksum: int, data: Piece) -> int:
    """Return the checksum of bytes that follow others.

    :param checksum: that of the others; 0 if there are none.
    """
    extended: int
    if isinstance(data, bytes) and len(data) < _LARGE:
        extended = google_crc32c.extend(checksum, data)
    else:
        # splitctl never gets here, and should not wait for this library at each start.  Both daemons load it early.
        from awscrt import checksums

        extended = checksums.crc32c(data, checksum)
    return extended


def value(data: Piece) -> int:
    """Return the checksum of bytes."""
    return extend(0, data)
