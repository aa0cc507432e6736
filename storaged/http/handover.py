"""Passes listening sockets on to the program that takes this one's place in the same process (`execve`).

The kernel completes connections meanwhile and keeps them in the sockets' queues: no client is refused.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Collection, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, cast

from twisted.internet.interfaces import IListeningPort

_VARIABLE = "SPLITD_SOCKETS"


class Handover:
    """The sockets that the program before this one has passed on, and those that this one passes on.

    :param environment: of the process; a variable in it names the sockets.
    :ivar leaving: whether this program is about to be replaced.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._inherited = _read(environment.pop(_VARIABLE, ""))
        self._ports: dict[str, Any] = {}
        self.leaving = False

    def take(self, endpoint: str) -> int | None:
        """Return the descriptor of the socket that listens at an endpoint; None if none was passed on.

        The caller closes it.
        """
        return self._inherited.pop(endpoint, None)

    def keep(self, endpoint: str, port: IListeningPort) -> None:
        """Take note of a port that may be passed on: one of TCP."""
        if isinstance(getattr(port, "socket", None), socket.socket) and cast(Any, port).socket.family != socket.AF_UNIX:
            self._ports[endpoint] = port

    def drop_rest(self) -> None:
        """Close the sockets at which nothing listens any more, because the settings have changed."""
        self.drop_others(())

    def drop_others(self, endpoints: Collection[str]) -> None:
        """Close the sockets of all other endpoints: their ports may be needed by another endpoint or process.

        :param endpoints: those that this program will listen at.
        """
        for endpoint in self._inherited.keys() - set(endpoints):
            with suppress(OSError):
                os.close(self._inherited.pop(endpoint))

    def leave(self) -> None:
        """Keep the sockets of all ports open, though the ports are about to be closed."""
        self.leaving = True
        for port in self._ports.values():
            # A private name: whether the socket is shut down when the port is closed, which would end it for all.
            port._shouldShutdown = False
        self._inherited = {endpoint: os.dup(port.fileno()) for endpoint, port in self._ports.items()}

    def lend(self, environment: Mapping[str, str]) -> tuple[dict[str, str], list[int]]:
        """Return the environment of a process that accepts connections at the ports that are open here, too.

        :return: the environment, and the descriptors that the process must inherit under the same numbers.
        """
        lent = {endpoint: port.fileno() for endpoint, port in self._ports.items()}
        return {**environment, _VARIABLE: json.dumps(lent)}, list(lent.values())

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the next program, which names the sockets, and let it inherit them."""
        for descriptor in self._inherited.values():
            os.set_inheritable(descriptor, True)
        return {**environment, _VARIABLE: json.dumps(self._inherited)}


def _read(text: str) -> dict[str, int]:
    """Read the variable.  What it names is closed on the next `execve`, unless it is passed on again."""
    found = {}
    try:
        named = json.loads(text) if text else {}
        for endpoint, descriptor in named.items():
            os.set_inheritable(descriptor, False)
            found[str(endpoint)] = int(descriptor)
    except (ValueError, TypeError, AttributeError, OSError):
        return {}  # it was not set by the program before: the sockets are made anew
    return found


def family_of(descriptor: int) -> int:
    """Return the address family of a socket."""
    with socket.socket(fileno=os.dup(descriptor)) as known:
        return known.family
