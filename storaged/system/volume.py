"""A file system: its size, its free room, and an id that tells it from others.  Pure."""

from __future__ import annotations

import attrs


@attrs.frozen
class Volume:
    """A file system; sizes in bytes.

    :param capacity: the size of the file system.
    :param available: the room that this user may still write to.
    :param id: the same for all processes of a machine that see this file system, and different for every other file
        system.  It may change when the machine restarts.  Empty if it is not known.
    """

    capacity: int
    available: int
    id: str = ""
