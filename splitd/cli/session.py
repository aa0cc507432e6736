"""What every command is given: where the servers are, and how to speak to the user."""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import urlsplit

import attrs
import click
from rich.console import Console

from splitd.cli.server import Server

_PIPE_COLUMNS = 500


@attrs.frozen
class Session:
    """One run of splitctl.

    :param front: where files are.
    :param admin: the operators' HTTP.
    :param as_json: whether results are for a program.
    """

    front: Server
    admin: Server
    as_json: bool

    def show(self, document: Any) -> None:
        """Print one JSON document on one line."""
        click.echo(json.dumps(document))


pass_session = click.make_pass_decorator(Session)


def read_server(context: click.Context, parameter: click.Parameter, url: str) -> Server:  # noqa: ARG001 - click's
    """Read the URL of a server.

    :raise click.BadParameter: it is not one.
    """
    try:
        place = urlsplit(url)
        known = place.scheme in {"http", "https"} and bool(place.hostname) and place.port != 0
    except ValueError:  # brackets or a port that cannot be
        known = False
    if not known:
        raise click.BadParameter(f"{url!r} is not a URL like http://127.0.0.1:8080")
    return Server(url)


def output() -> Console:
    """Where tables go.  A pipe has no width that a line could be cut to."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS, markup=False, highlight=False)
