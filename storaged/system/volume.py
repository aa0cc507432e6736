"""What a file system says of its room.  Pure."""

from __future__ import annotations

import attrs


@attrs.frozen
class Volume:
    """What a file system says of itself; sizes in bytes.

    :param capacity: its size.
    :param available: what this user may still write.
    """

    capacity: int
    available: int
