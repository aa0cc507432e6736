"""Puts the console together."""

from __future__ import annotations

from functools import cache

from splitd.frontends.console.assets import Assets
from splitd.frontends.console.door import ConsoleDoor, Operating
from splitd.frontends.console.history import History
from splitd.frontends.console.resource import ConsoleResource
from splitd.frontends.console.thumbnails.thumbnails import Thumbnails

__all__ = ["ConsoleDoor", "ConsoleResource", "History", "Operating", "Thumbnails", "make_console"]


def make_console(door: ConsoleDoor) -> ConsoleResource:
    """Return the resource below `/.splitd/`; its `page` answers browsers that open a collection."""
    return ConsoleResource(door, _assets())


@cache
def _assets() -> Assets:
    return Assets()  # compressing takes 50 ms, and a process needs it once
