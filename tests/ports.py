"""Ports for servers that may stop and start again."""

from __future__ import annotations

import os
import random
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack

_LOWEST = 21000
_HIGHEST = 32000
"""Outgoing connections get ports above this one: none of them can take a server's port while it is down, or connect to
itself.
"""

_FAMILY = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_FAMILIES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
"""Tests may run in several processes at once.  Each has a share of the ports of its own, because a port that was found
free is taken only later.
"""

_RANDOM = random.SystemRandom()
"""Hypothesis seeds the default generator: two runs on one machine would choose the same ports."""


_GIVEN: deque[int] = deque(maxlen=2000 // _FAMILIES)
"""Ports that were chosen lately: their server may not listen yet, and no other may get them.  They are few of all, so
that large blocks are found among the others.
"""


def free_ports(block: Sequence[int] = (0,)) -> int:
    """Return the first port of a free block.

    :param block: the needed ports, relative to the first.
    """
    share = (_HIGHEST - _LOWEST) // _FAMILIES
    lowest = _LOWEST + _FAMILY * share
    while True:
        first = _RANDOM.randrange(lowest, lowest + share - max(block))
        wanted = [first + offset for offset in block]
        if not set(wanted).isdisjoint(_GIVEN):
            continue
        with ExitStack() as stack:
            try:
                for port in wanted:
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
        _GIVEN.extend(wanted)
        return first
