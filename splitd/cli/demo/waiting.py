"""Waits for events in other processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from splitd.cli.errors import CommandFailed

_LOOK_S = 0.05

T = TypeVar("T")


class NotSeen(CommandFailed):
    """The awaited event did not happen in time."""


def wait_until(look: Callable[[], T], what: str, patience_s: float = 30.0) -> T:
    """Call a function again and again, until its result is true.

    :param what: the awaited event, for the message.
    :param patience_s: how long to wait, in seconds.
    :return: the true result.
    :raise NotSeen: the result was not true in time.
    """
    deadline = time.monotonic() + patience_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise NotSeen(f"not seen in {patience_s:.0f} s: {what}")
        time.sleep(_LOOK_S)
    return seen
