"""How a command can fail, each with its exit code.  Bad usage is click's own, with 2.

CommandFailed
├── ServerRefused           1, the server said no
├── SomeFailed              1, some of several files were not stored
├── Unreachable             3, no connection to the server
├── TransferBroken          4, the connection broke, or the bytes that came are not the bytes expected
└── PortTaken               5, somebody else listens where a daemon is to listen
"""

from __future__ import annotations

import click


class CommandFailed(click.ClickException):
    """The root of what a command says when it fails."""


class ServerRefused(CommandFailed):
    """The server answered, and the answer is no.

    :param status: the HTTP status.
    """

    exit_code = 1

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class SomeFailed(CommandFailed):
    """Of several files some were not stored; the message lists them."""

    exit_code = 1


class Unreachable(CommandFailed):
    """There is no connection to the server."""

    exit_code = 3


class TransferBroken(CommandFailed):
    """The exchange did not come to its end, on this side or on the other."""

    exit_code = 4


class PortTaken(CommandFailed):
    """Somebody else listens where a daemon is to listen; no daemon was started."""

    exit_code = 5
