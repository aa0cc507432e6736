"""The errors of commands, each with its exit code.  Wrong usage is click's own error, with exit code 2.

CommandFailed
├── ServerRefused           1, the server refused the request
├── SomeFailed              1, some of several files were not stored
├── Unreachable             3, no connection to the server
├── TransferBroken          4, the connection broke, or the bytes that came are not the bytes expected
└── PortTaken               5, another process listens on a port that a daemon needs
"""

from __future__ import annotations

import click


class CommandFailed(click.ClickException):
    """The root of the errors of commands.  Its message is shown to the user."""


class ServerRefused(CommandFailed):
    """The server answered that it refuses the request.

    :param status: the HTTP status.
    """

    exit_code = 1

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class SomeFailed(CommandFailed):
    """Some of several files were not stored; the message lists them."""

    exit_code = 1


class Unreachable(CommandFailed):
    """There is no connection to the server."""

    exit_code = 3


class TransferBroken(CommandFailed):
    """The exchange broke off before its end, on this side or on the other."""

    exit_code = 4


class PortTaken(CommandFailed):
    """Another process listens on a port that a daemon needs; no daemon was started."""

    exit_code = 5
