"""The group of all commands, and the options that they share."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

from splitd import __version__
from splitd.cli.commands import COMMANDS
from splitd.cli.credentials import authorization
from splitd.cli.profiles import take_profile
from splitd.cli.server import Server
from splitd.cli.session import Session, read_server

_EXIT_CODES = """\b
Exit codes:
  0  good
  1  the server said no, there is nothing of this name, or some of several files failed
  2  the command was used in a wrong way
  3  the server cannot be reached
  4  the transfer broke
  5  a port is taken (up, grow)
"""


@click.group(commands=COMMANDS, epilog=_EXIT_CODES)
@click.version_option(__version__, prog_name="splitctl")
@click.option(
    "--profile",
    envvar="SPLITD_PROFILE",
    show_envvar=True,
    is_eager=True,
    expose_value=False,
    callback=take_profile,
    help="The profile to take url, admin, user, password_file, token_file and ca from.  "
    "[default: the default of ~/.config/splitctl.yaml, if it exists]",
)
@click.option(
    "--url",
    envvar="SPLITD_URL",
    default="http://127.0.0.1:8080",
    show_default=True,
    show_envvar=True,
    callback=read_server,
    help="The URL of the front.",
)
@click.option(
    "--admin",
    envvar="SPLITD_ADMIN",
    default="http://127.0.0.1:8081",
    show_default=True,
    show_envvar=True,
    callback=read_server,
    help="The URL of the operators' port.",
)
@click.option("--user", envvar="SPLITD_USER", show_envvar=True, help="The user to log in as.")
@click.option(
    "--password-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="SPLITD_PASSWORD_FILE",
    show_envvar=True,
    help="A file with the user's password.  [default: SPLITD_PASSWORD, or the terminal]",
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="SPLITD_TOKEN_FILE",
    show_envvar=True,
    help="A file with a token to log in with, in place of a user and a password.",
)
@click.option(
    "--token",
    envvar="SPLITD_TOKEN",
    show_envvar=True,
    help="The token itself.  On the command line other users of this machine see it: prefer the variable or a file.",
)
@click.option(
    "--ca",
    type=click.Path(dir_okay=False),
    envvar="SPLITD_CA",
    show_envvar=True,
    help="A PEM file of the authority that has signed the server's certificate, or the certificate itself.  "
    "[default: those that the system trusts]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def main(
    context: click.Context,
    *,
    url: Server,
    admin: Server,
    user: str | None,
    password_file: Path | None,
    token_file: Path | None,
    token: str | None,
    ca: str | None,
    as_json: bool,
) -> None:
    """Run, use and watch a splitd."""
    login = authorization(user, password_file, token, token_file)
    front, operators = (attrs.evolve(server, authorization=login, ca=ca) for server in (url, admin))
    context.obj = Session(front, operators, as_json)
