"""The help of all commands of splitctl."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from splitd.cli.main import main


def contexts(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Yield the context of a command, and of all commands below it."""
    context = click.Context(command, info_name=name, parent=parent)
    yield context
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None
            yield from contexts(below, word, context)


@pytest.mark.parametrize("context", list(contexts(main, "splitctl")), ids=lambda context: context.command_path)
def test_the_help_has_sentences_and_no_mark_of_its_layout(context: click.Context) -> None:
    text = context.get_help()
    assert "\\" not in text  # a paragraph that keeps its lines begins with the character \b, and not with these two
    assert "\b" not in text
    assert context.command.get_short_help_str(1000).endswith(".")
