"""The option of the commands that edit the file of the users."""

from __future__ import annotations

from pathlib import Path

import click

file_option = click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    envvar="SPLITD_USERS",
    show_envvar=True,
    help="The file of the users.",
)
