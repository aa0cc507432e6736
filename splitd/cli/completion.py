"""Completion of commands, options and paths in the shell."""

from __future__ import annotations

import os
from typing import Any

import attrs
import click
from click.shell_completion import CompletionItem, get_completion_class

from splitd.cli.credentials import PASSWORD, authorization
from splitd.cli.errors import CommandFailed
from splitd.cli.paths import clean_path, join_path
from splitd.cli.server import Server

_SHELLS = ("bash", "zsh", "fish")
_WAIT_S = 2.0
_MOST = 1000


class RemotePath(click.ParamType[str]):
    """A path in the service; the shell completes it with what is there."""

    name = "path"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the members of the collection that has been typed so far, of at most its first 1,000."""
        front = _front(ctx.find_root().params)
        if front is None:
            return []
        collection, _, begun = incomplete.rpartition("/")
        try:
            page = front.document(clean_path(collection), {"limit": _MOST})
        except CommandFailed:
            return []  # a shell has no place for errors
        return [
            CompletionItem(join_path(collection, member["name"]) + ("/" if member["type"] == "collection" else ""))
            for member in page.get("members", [])
            if member["name"].startswith(begun)
        ]


def _front(options: dict[str, Any]) -> Server | None:
    """Return the server that the options name; None if it would ask for a password."""
    front = options.get("url")
    if not isinstance(front, Server):
        return None
    if options.get("user") and not (options.get("password_file") or options.get("token") or os.environ.get(PASSWORD)):
        return None
    try:
        login = authorization(*(options.get(name) for name in ("user", "password_file", "token", "token_file")))
    except click.UsageError:
        return None
    return attrs.evolve(front, connect_s=_WAIT_S, stall_s=_WAIT_S, authorization=login, ca=options.get("ca"))


REMOTE_PATH = RemotePath()


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes the shell complete commands, options, and paths in the service.

    \b
    bash:  eval "$(splitctl completion bash)" in ~/.bashrc
    zsh:   eval "$(splitctl completion zsh)" in ~/.zshrc
    fish:  splitctl completion fish > ~/.config/fish/completions/splitctl.fish
    """  # noqa: D301 - click takes the character itself
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not known")
    click.echo(kind(context.find_root().command, {}, "splitctl", "_SPLITCTL_COMPLETE").source())
