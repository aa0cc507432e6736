"""Completion of commands, options and paths in the shell."""

from __future__ import annotations

import attrs
import click
from click.shell_completion import CompletionItem, get_completion_class

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
        front = ctx.find_root().params.get("url")
        if not isinstance(front, Server):
            return []
        collection, _, begun = incomplete.rpartition("/")
        quick = attrs.evolve(front, connect_s=_WAIT_S, stall_s=_WAIT_S)
        try:
            page = quick.document(clean_path(collection), {"limit": _MOST})
        except CommandFailed:
            return []  # a shell has no place for errors
        return [
            CompletionItem(join_path(collection, member["name"]) + ("/" if member["type"] == "collection" else ""))
            for member in page.get("members", [])
            if member["name"].startswith(begun)
        ]


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
