"""Ports for servers that may go and come back."""

from __future__ import annotations

import random
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack

_LOWEST = 21000
_HIGHEST = 32000
"""Connections of clients come from above: none can take a server's port while it is away, or connect to itself."""

_RANDOM = random.SystemRandom()
"""Hypothesis sows the other one: two runs on one machine would take the same ports."""


_GIVEN: deque[int] = deque(maxlen=2000)
"""Those that were given lately: a server may not listen there yet, and nobody else is to get its port."""


def free_ports(block: Sequence[int] = (0,)) -> int:
    """The first port of a block that is free.

    :param block: the ports that are needed, counted from the first.
    """
    while True:
        first = _RANDOM.randrange(_LOWEST, _HIGHEST)
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
