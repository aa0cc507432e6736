"""The size of a file system and the room left on it.  Pure."""

from __future__ import annotations

import attrs


@attrs.frozen
class Volume:
    """The sizes of a file system, in bytes.

    :param capacity: all of it.
    :param available: room that this user may still write to.
    """

    capacity: int
    available: int
