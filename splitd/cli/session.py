"""The context of every command: the servers, and the way to print results."""

from __future__ import annotations

import json
import sys
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import attrs
import click
from rich.console import Console

from splitd.cli.server import Server

_PIPE_COLUMNS = 500
_PRINTING = Lock()


@attrs.frozen
class Session:
    """One run of splitctl.

    :param front: the server of the files.
    :param admin: the operators' HTTP.
    :param as_json: whether to print results as JSON, for programs.
    """

    front: Server
    admin: Server
    as_json: bool

    def show(self, document: Any) -> None:
        """Print one JSON document on one line.  Threads may do so at once."""
        with _PRINTING:
            click.echo(json.dumps(document))


pass_session = click.make_pass_decorator(Session)


def read_server(context: click.Context, parameter: click.Parameter, url: str) -> Server:  # noqa: ARG001 - click's
    """Read the URL of a server.

    :raise click.BadParameter: it is not a URL of http or https with a host.
    """
    try:
        place = urlsplit(url)
        known = place.scheme in {"http", "https"} and bool(place.hostname) and place.port != 0
    except ValueError:  # impossible brackets or port
        known = False
    if not known:
        raise click.BadParameter(f"{url!r} is not a URL like http://127.0.0.1:8080")
    return Server(url)


def output() -> Console:
    """Return the console for tables.  A pipe has no width, so its lines are long enough for everything."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS, markup=False, highlight=False)
