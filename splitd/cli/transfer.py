"""splitctl cp and mv: copy and move inside the service.  No byte of a file travels."""

from __future__ import annotations

from http import HTTPStatus

import click

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.errors import CommandFailed, ServerRefused, SomeFailed
from splitd.cli.paths import clean_path, join_path, printable
from splitd.cli.session import Session, pass_session
from splitd.cli.tree import RemoteTree
from splitd.model.tree import basename, parent

_keep = click.option("-n", "--no-clobber", "keep", is_flag=True, help="Replace nothing: fail if the new name is taken.")
_parents = click.option("-p", "parents", is_flag=True, help="Make the missing collections above DEST.")
_sources = click.argument("sources", type=REMOTE_PATH, metavar="PATH...", nargs=-1, required=True)
_dest = click.argument("dest", type=REMOTE_PATH)


@click.command()
@click.option("-r", "recursive", is_flag=True, help="Copy collections and everything in them.")
@_keep
@_parents
@_sources
@_dest
@pass_session
def cp(session: Session, recursive: bool, keep: bool, parents: bool, sources: tuple[str, ...], dest: str) -> None:
    """Copy files inside the service, and collections with -r.

    A copy shares the stored bytes with its source, so it is made at once and takes no room, whatever its size.  DEST is
    the new name of one PATH.  It is the collection to copy into if it ends in a slash, if it is an existing collection,
    or if there are several PATHs.
    """
    tree = RemoteTree(session.front)
    if not recursive:
        for source in sources:
            if tree.is_collection(source):
                raise ServerRefused(f"{printable(source)}: this is a collection; -r copies it with all in it", 409)
    _transfer(session, tree, "COPY", sources, dest, keep=keep, parents=parents)


@click.command()
@_keep
@_parents
@_sources
@_dest
@pass_session
def mv(session: Session, keep: bool, parents: bool, sources: tuple[str, ...], dest: str) -> None:
    """Move or rename files and collections.

    A collection moves with everything in it, in one step.  DEST is the new name of one PATH.  It is the collection to
    move into if it ends in a slash, if it is an existing collection, or if there are several PATHs.
    """
    _transfer(session, RemoteTree(session.front), "MOVE", sources, dest, keep=keep, parents=parents)


def _transfer(
    session: Session, tree: RemoteTree, method: str, sources: tuple[str, ...], dest: str, *, keep: bool, parents: bool
) -> None:
    into = len(sources) > 1 or dest.endswith("/") or tree.is_collection(dest)
    failures: list[CommandFailed] = []
    for source in sources:
        target = join_path(dest, basename(clean_path(source))) if into else clean_path(dest)
        try:
            if parents:
                tree.make_all(parent(target))
            created = _one(tree, method, source, target, keep=keep)
        except ServerRefused as refusal:
            if len(sources) == 1:
                raise
            failures.append(refusal)
        else:
            if session.as_json:
                session.show({"source": clean_path(source), "path": target, "created": created})
    if failures:
        lines = "\n".join(f"  {failure.message}" for failure in failures)
        raise SomeFailed(f"{len(failures)} of {len(sources)} failed:\n{lines}")


def _one(tree: RemoteTree, method: str, source: str, target: str, *, keep: bool) -> bool:
    if clean_path(source) == "/":
        raise click.UsageError("/ is the root; it can neither be copied nor moved")
    try:
        return tree.transfer(method, source, target, overwrite=not keep)
    except ServerRefused as refusal:
        if keep and refusal.status == HTTPStatus.PRECONDITION_FAILED:
            raise ServerRefused(f"{printable(target)} is there already, and --no-clobber keeps it", 412) from refusal
        raise
