"""Puts the console together."""

from __future__ import annotations

from splitd.frontends.console.assets import Assets
from splitd.frontends.console.door import ConsoleDoor, Operating
from splitd.frontends.console.history import History
from splitd.frontends.console.resource import ConsoleResource

__all__ = ["ConsoleDoor", "ConsoleResource", "History", "Operating", "make_console"]


def make_console(door: ConsoleDoor) -> ConsoleResource:
    """Return the resource below `/.splitd/`; its `page` answers browsers that open a collection."""
    return ConsoleResource(door, Assets())
