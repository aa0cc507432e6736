"""Ports for servers that may stop and start again."""

from __future__ import annotations

import random
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import cache

_LOWEST = 21000
_HIGHEST = 32000
"""Outgoing connections get ports above this one: none of them can take a server's port while it is down, or connect to
itself.
"""

_SHARES = 12
"""Tests may run in several processes at once, and twice on one machine.  Each process has a share of the ports of its
own, because a port that was found free is taken only later, and is free for a while when its server starts again.
"""

_RANDOM = random.SystemRandom()
"""Hypothesis seeds the default generator: two runs on one machine would choose the same ports."""

_CLAIMS: list[socket.socket] = []
"""What keeps other processes from the share of this one until it ends."""

_GIVEN: deque[int] = deque(maxlen=2000 // _SHARES)
"""Ports that were chosen lately: their server may not listen yet, and no other may get them.  They are few of all, so
that large blocks are found among the others.
"""


@cache
def share() -> range:
    """Return the ports of this process, which no other process of tests uses while it runs."""
    size = (_HIGHEST - _LOWEST) // _SHARES
    shares = [range(lowest, lowest + size) for lowest in range(_LOWEST, _LOWEST + _SHARES * size, size)]
    for ports in shares:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with suppress(OSError):
            # The name is no file's, so it is free again when this process has ended, however it ends.
            claim.bind(f"\0splitd-tests-ports-{ports.start}")
            _CLAIMS.append(claim)
            return ports
        claim.close()
    return _RANDOM.choice(shares)


def free_ports(block: Sequence[int] = (0,)) -> int:
    """Return the first port of a free block.

    :param block: the needed ports, relative to the first.
    """
    while True:
        first = _RANDOM.choice(share()[: -max(block) or None])
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
