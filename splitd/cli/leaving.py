"""splitctl nodes lost, splitctl nodes drain: what becomes of storage servers that leave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from splitd.cli.errors import CommandFailed
from splitd.cli.fill import Node
from splitd.cli.registry_editor import find_registry
from splitd.cli.session import Session, pass_session

_ANSWERING = frozenset({"up", "full", "readonly", "draining"})

_registry_option = click.option(
    "--registry",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The registry that the front reads.  [default: where the front says it is]",
)
_yes_option = click.option("--yes", is_flag=True, help="Do it whatever speaks against it.")


class NotDone(CommandFailed):
    """Something speaks against the change, and nothing was changed; the message says what."""


@click.command()
@click.argument("node_id", metavar="ID")
@_yes_option
@_registry_option
@pass_session
def lost(session: Session, node_id: str, yes: bool, registry: Path | None) -> None:
    """Declare a storage server lost for good, with all parts on it.

    For a disk that is dead: the server is asked for nothing any more and never gets a part again, and its parts are
    rebuilt on other servers, as far as there is parity.  Its entry stays in the registry, with `state: lost`.  This
    cannot be taken back.  A new disk joins with a new id, also at the old address.

    It is refused without --yes if the server answers, or if files could not be read any more.  A server that still
    works leaves by `splitctl nodes drain`, which loses nothing.

    Exit codes: 0 it is lost, 1 refused, and nothing was changed.
    """
    found = session.admin.document("/status")
    node = _node_of(found, node_id)
    if node["mode"] == "lost":
        _tell(session, node_id, "lost", f"{node_id} was declared lost already", None)
        return
    loss = session.admin.document("/loss", {"id": node_id})
    objections = []
    if node["state"] in _ANSWERING:
        objections.append(f"{node_id} answers: `splitctl nodes drain {node_id}` moves its parts away first")
    if loss["unreadable"]:
        objections.append(
            f"{_count(loss['unreadable'], 'file')} of the {loss['files']} with a part on {node_id} could not be read "
            "any more, because too few of their parts lie elsewhere"
        )
    _refuse(objections, yes=yes)
    _set_state(session, found, node_id, "lost", registry)
    rebuilt = loss["files"] - loss["unreadable"]
    told = f"{node_id} is lost for good; {_count(rebuilt, 'part')} on it can be rebuilt on other servers"
    if loss["unreadable"]:
        told += f", and {_count(loss['unreadable'], 'file')} cannot be read any more"
    _tell(session, node_id, "lost", told, loss)


@click.command()
@click.argument("node_id", metavar="ID")
@click.option("--undo", is_flag=True, help="Let it take parts again; parts that were moved away stay where they are.")
@_yes_option
@_registry_option
@pass_session
def drain(session: Session, node_id: str, undo: bool, yes: bool, registry: Path | None) -> None:
    """Move all parts of a storage server to others, while it still works.

    It takes no new parts, and is read until its parts are elsewhere.  `splitctl nodes` shows it as draining.  Once it
    is empty, `splitctl nodes lost` makes its end known, and it can be switched off.

    It is refused without --yes if too few servers would be left for new files.

    Exit codes: 0 it is draining, or active again with --undo; 1 refused, and nothing was changed.
    """
    found = session.admin.document("/status")
    node = _node_of(found, node_id)
    if node["mode"] == "lost":
        raise NotDone(f"{node_id} was declared lost, which cannot be taken back")
    if undo and node["mode"] != "draining":
        raise NotDone(f"{node_id} is not draining, it is {node['mode']}")
    if not undo and node["mode"] == "draining":
        _tell(session, node_id, "draining", f"{node_id} is draining already", None)
        return
    if not undo:
        _refuse(_too_few_left(found, node), yes=yes)
    state = "active" if undo else "draining"
    _set_state(session, found, node_id, state, registry)
    told = (
        f"{node_id} takes parts again" if undo else f"{node_id} takes no new parts, and its parts are moved to others"
    )
    _tell(session, node_id, state, told, None)


def _node_of(found: Mapping[str, Any], node_id: str) -> Node:
    for node in found["nodes"]:
        if node["id"] == node_id:
            return dict(node)
    known = ", ".join(node["id"] for node in found["nodes"])
    raise NotDone(f"there is no storage server {node_id}; there are {known}")


def _too_few_left(found: Mapping[str, Any], node: Node) -> list[str]:
    left = [each for each in found["nodes"] if each["mode"] == "active" and each["id"] != node["id"]]
    data, _, parity = found["layout"].partition("+")
    width = int(data) + int(parity)
    if len(left) >= width:
        return []
    return [f"new files are stored as {found['layout']}, on {width} servers, and {len(left)} would be left for them"]


def _refuse(objections: list[str], *, yes: bool) -> None:
    if objections and not yes:
        raise NotDone(f"{'; '.join(objections)}.  Nothing was changed; --yes does it all the same")


def _set_state(session: Session, found: Mapping[str, Any], node_id: str, state: str, registry: Path | None) -> None:
    by_hand = f"write `state: {state}` into the entry of {node_id} yourself and run `splitctl reload`"
    find_registry(registry, found, by_hand).set_state(node_id, state, session.admin)


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _tell(session: Session, node_id: str, state: str, sentence: str, loss: Any) -> None:
    if session.as_json:
        session.show({"id": node_id, "mode": state, **({"loss": loss} if loss else {})})
    else:
        click.echo(sentence)
