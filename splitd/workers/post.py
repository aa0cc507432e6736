"""What the head tells each process that it starts, in a variable of its environment: what it is, and what it shares."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, MutableMapping
from typing import Literal

import msgspec

_VARIABLE = "SPLITD_POST"
_PR_SET_PDEATHSIG = 1


class Post(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The post of a process.

    :param kind: "catalog" for the one that keeps the catalog.
    :param head: the id of the process that starts the others.
    :param counters: the descriptor of the shared counters.
    :param address: where the catalog's process lets workers in: a name of a Unix socket without a file.
    :param workers: how many workers there are.
    :param number: of the worker, from 0.
    :param socket: the descriptor of the socket with this address; -1 in a worker.
    :param front: the id by which a catalog in a database knows the worker.
    :param before: that of the worker which had this number and has ended; empty for none.
    """

    kind: Literal["catalog", "worker"]
    head: int
    counters: int
    address: str
    workers: int
    number: int = 0
    socket: int = -1
    front: str = ""
    before: str = ""

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the process."""
        return {**environment, _VARIABLE: msgspec.json.encode(self).decode()}


def take_post(environment: MutableMapping[str, str]) -> Post | None:
    """Return the post of this process; None if it was not started by a head.

    From then on, the kernel kills this process when the head ends, for whatever reason (Linux).
    """
    text = environment.pop(_VARIABLE, "")
    if not text:
        return None
    post = msgspec.json.decode(text, type=Post)
    os.setpgid(0, 0)  # Ctrl-C in a terminal is for the head, which stops the others in order
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != post.head:
        os._exit(1)  # the head ended before that
    return post
