"""A file system: its size, the room left on it, and how to tell it from others.  Pure."""

from __future__ import annotations

import attrs


@attrs.frozen
class Volume:
    """A file system; sizes in bytes.

    :param capacity: all of it.
    :param available: room that this user may still write to.
    :param id: the same for all processes of a machine that see this file system, and for no other one; it may be
        another after the machine has started anew.  Empty where it is not known.
    """

    capacity: int
    available: int
    id: str = ""
