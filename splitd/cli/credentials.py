"""The credentials of splitctl itself.  None of them needs to stand on the command line, where others see it."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import click

PASSWORD = "SPLITD_PASSWORD"  # noqa: S105 - the name of a variable


def authorization(user: str | None, password_file: Path | None, token: str | None, token_file: Path | None) -> str:
    """Return the value of the `Authorization` header; empty for no credentials.

    A user's password comes from a file, from the environment, or from the terminal.

    :raise click.UsageError: a file cannot be read, or there is no password.
    """
    if token_file is not None and token is None:
        token = _first_line(token_file)
    if token:
        return f"Bearer {token}"
    if not user:
        return ""
    password = _first_line(password_file) if password_file is not None else os.environ.get(PASSWORD)
    if password is None:
        if not sys.stdin.isatty():
            raise click.UsageError(f"no password for {user}: set {PASSWORD}, or use --password-file")
        password = str(click.prompt(f"Password of {user}", hide_input=True, err=True))
    return basic(user, password)


def basic(user: str, password: str) -> str:
    """Return the value of an `Authorization` header with a name and a password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode()


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].removesuffix("\r")
    except (OSError, UnicodeDecodeError) as problem:
        raise click.UsageError(f"{path}: {problem}") from problem
