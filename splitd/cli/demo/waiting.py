"""Waiting for what somebody else does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from splitd.cli.errors import CommandFailed

_LOOK_S = 0.05

T = TypeVar("T")


class NotSeen(CommandFailed):
    """What was awaited did not come in time."""


def wait_until(look: Callable[[], T], what: str, patience_s: float = 30.0) -> T:
    """Look again and again, until what is seen is true.

    :param what: what is awaited.
    :return: what was seen.
    :raise NotSeen: it did not come in time.
    """
    deadline = time.monotonic() + patience_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise NotSeen(f"not seen in {patience_s:.0f} s: {what}")
        time.sleep(_LOOK_S)
    return seen
