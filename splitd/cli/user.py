"""splitctl user: edits the file of the users."""

from __future__ import annotations

import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from ruamel.yaml.comments import CommentedMap

from splitd.access.entries import check_user_name
from splitd.access.grants import ADMIN, READ, RIGHTS, WRITE
from splitd.access.secrets import hash_password, hash_token, new_token
from splitd.cli.errors import CommandFailed
from splitd.cli.session import Session, pass_session
from splitd.cli.user_keys import key
from splitd.cli.users_editor import (
    UsersEditor,
    add_item,
    add_user,
    grant_item,
    remove_item,
    set_grant,
    user_in,
)
from splitd.cli.users_options import file_option
from splitd.cli.writing import write_file
from splitd.errors import BadName
from splitd.model.tree import check_path

Grant = tuple[str, tuple[str, ...]]


class GrantType(click.ParamType[Grant]):
    """A grant on the command line: `/path:read,write`; `/path:` takes everything away there."""

    name = "path:rights"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Grant:
        """Read a grant.

        :raise click.BadParameter: it is not one.
        """
        if isinstance(value, tuple):
            return value
        path, colon, rights = str(value).rpartition(":")
        path = path.rstrip("/") or "/"
        allow = tuple(dict.fromkeys(filter(None, rights.split(","))))
        unknown = [each for each in allow if each not in RIGHTS]
        if not colon or unknown:
            self.fail(f"{value!r} is not a grant like /path:read,write: rights are {', '.join(RIGHTS)}", param, ctx)
        try:
            check_path(path)
        except BadName as problem:
            self.fail(str(problem), param, ctx)
        return path, allow


def _read_name(context: click.Context, parameter: click.Parameter, name: str) -> str:  # noqa: ARG001 - click's
    try:
        check_user_name(name)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from problem
    return name


name_argument = click.argument("name", callback=_read_name)
stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of the standard input."
)


@click.group()
def user() -> None:
    """Edit the file of the users, and keep its comments.

    A front that uses the file takes a change over within seconds.  No password is ever an argument: it would be seen in
    the list of processes.
    """


@user.command()
@name_argument
@file_option
@stdin_option
@click.option("--no-password", is_flag=True, help="Make a user who logs in with tokens only.")
@click.option("--grant", "grants", type=GrantType(), multiple=True, help="What the user may do: /path:read,write,admin")
@click.option("--group", "groups", multiple=True, help="A group of the file that the user belongs to.")
@pass_session
def add(
    session: Session,
    name: str,
    file: Path,
    password_stdin: bool,
    no_password: bool,
    grants: tuple[Grant, ...],
    groups: tuple[str, ...],
) -> None:
    """Add a user.  The file is made if it is missing."""
    if no_password and password_stdin:
        raise click.UsageError("--no-password and --password-stdin contradict each other")
    editor = UsersEditor(file)
    if name in editor.read().users:  # before anybody types a password in vain
        raise CommandFailed(f"there is a user {name} already")
    entry: dict[str, Any] = {} if no_password else {"password": _password(password_stdin)}
    if groups:
        entry["groups"] = list(groups)
    if grants:
        entry["grants"] = [grant_item(path, allow) for path, allow in dict(grants).items()]
    editor.edit(lambda document: add_user(document, name, entry))
    _tell(session, {"user": name, "file": str(editor.path)}, f"{editor.path}: {name} was added")


@user.command()
@name_argument
@file_option
@stdin_option
@pass_session
def passwd(session: Session, name: str, file: Path, password_stdin: bool) -> None:
    """Set the password of a user."""
    editor = UsersEditor(file)
    _require(editor, name)
    hashed = _password(password_stdin)

    def change(document: CommentedMap) -> None:
        entry = user_in(document, name)
        if "password" in entry:
            entry["password"] = hashed
        else:
            entry.insert(0, "password", hashed)

    editor.edit(change)
    _tell(session, {"user": name, "file": str(editor.path)}, f"{editor.path}: {name} has a new password")


@user.command()
@name_argument
@click.argument("grants", type=GrantType(), nargs=-1)
@click.option("--remove", "removed", multiple=True, metavar="PATH", help="Drop the grant for this path.")
@file_option
@pass_session
def grant(session: Session, name: str, grants: tuple[Grant, ...], removed: tuple[str, ...], file: Path) -> None:
    """Set what a user may do: /path:read,write.

    The grant with the longest path decides.  /path: without rights takes everything away there.
    """
    if not (grants or removed):
        raise click.UsageError("give at least one grant, as /path:read,write, or --remove PATH")
    editor = UsersEditor(file)

    def change(document: CommentedMap) -> None:
        entry = user_in(document, name)
        for path in removed:
            if not remove_item(entry, "grants", "path", path.rstrip("/") or "/"):
                raise CommandFailed(f"{name} has no grant of their own for {path}")
        for path, allow in grants:
            set_grant(entry, path, allow)

    editor.edit(change)
    found = [{"path": each.path, "allow": list(each.allow)} for each in editor.read().users[name].grants]
    lines = [f"{each['path']}: {', '.join(each['allow']) or 'nothing'}" for each in found]
    _tell(session, {"user": name, "grants": found}, "\n".join(lines))


@user.command()
@name_argument
@file_option
@pass_session
def rm(session: Session, name: str, file: Path) -> None:
    """Remove a user, with all tokens and keys."""
    editor = UsersEditor(file)

    def change(document: CommentedMap) -> None:
        user_in(document, name)
        del document["users"][name]

    editor.edit(change)
    _tell(session, {"user": name, "file": str(editor.path)}, f"{editor.path}: {name} was removed")


@user.command("list")
@file_option
@pass_session
def list_users(session: Session, file: Path) -> None:
    """List the users, their grants, and the ids of their tokens and keys."""
    for name, entry in UsersEditor(file).read().users.items():
        tokens = [{"id": each.id, "expires": each.expires and each.expires.isoformat()} for each in entry.tokens]
        grants = [{"path": each.path, "allow": list(each.allow)} for each in entry.grants]
        keys = [each.id for each in entry.keys]
        if session.as_json:
            session.show({
                "user": name, "password": entry.password is not None, "groups": list(entry.groups), "grants": grants,
                "tokens": tokens, "keys": keys,
            })  # fmt: skip
            continue
        click.echo(name + (f" ({', '.join(entry.groups)})" if entry.groups else ""))
        for each in grants:
            click.echo(f"  {each['path']}: {', '.join(each['allow']) or 'nothing'}")
        for token_ in tokens:
            click.echo(f"  token {token_['id']}" + (f", until {token_['expires']}" if token_["expires"] else ""))
        for key_id in keys:
            click.echo(f"  key {key_id}")


@user.group()
def token() -> None:
    """Make and remove tokens: passwords for one program, which can be taken back alone."""


@token.command("add")
@name_argument
@file_option
@click.option("--id", "token_id", help="The name by which it can be removed.  [default: t- and random digits]")
@click.option("--days", type=click.IntRange(1, 36_500), help="How many days it is good for.  [default: for ever]")
@pass_session
def add_token(session: Session, name: str, file: Path, token_id: str | None, days: int | None) -> None:
    """Make a token, and print it: it is not shown again.

    It is sent as a bearer token, or as the password of HTTP Basic by programs that can do nothing else.
    """
    made = new_token()
    item: dict[str, Any] = {"id": token_id or f"t-{secrets.token_hex(4)}", "hash": hash_token(made.encode())}
    if days is not None:
        item["expires"] = (datetime.now(UTC) + timedelta(days=days + 1)).date()  # at the end of that day
    UsersEditor(file).edit(lambda document: add_item(user_in(document, name), "tokens", item))
    expires = item.get("expires")
    told = {"user": name, "id": item["id"], "token": made, "expires": expires and expires.isoformat()}
    _tell(session, told, made)


@token.command("rm")
@name_argument
@click.argument("token_id")
@file_option
@pass_session
def remove_token(session: Session, name: str, token_id: str, file: Path) -> None:
    """Remove a token by its id.  It is refused from then on."""

    def change(document: CommentedMap) -> None:
        if not remove_item(user_in(document, name), "tokens", "id", token_id):
            raise CommandFailed(f"{name} has no token {token_id}")

    UsersEditor(file).edit(change)
    _tell(session, {"user": name, "id": token_id}, f"the token {token_id} of {name} was removed")


@user.command("init")
@click.argument("name", default="admin", callback=_read_name)
@file_option
@click.option("--password-file", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--token-file", type=click.Path(dir_okay=False, path_type=Path))
def init(name: str, file: Path, password_file: Path, token_file: Path | None) -> None:
    """Make the first user, who may do everything, with a random password.  Do nothing if the file is there already.

    The password is written to a file that only its owner can read, and a token for splitctl to another one.
    """
    editor = UsersEditor(file)
    if editor.path.exists():
        return
    password, made = secrets.token_urlsafe(18), new_token()
    entry: dict[str, Any] = {
        "password": hash_password(password),
        "grants": [grant_item("/", (READ, WRITE, ADMIN))],
    }
    try:
        write_file(password_file, password + "\n", 0o600)
        if token_file is not None:
            write_file(token_file, made + "\n", 0o600)
            entry["tokens"] = [{"id": "splitctl", "hash": hash_token(made.encode())}]
    except OSError as problem:
        raise CommandFailed(f"{problem.filename}: {problem.strerror}") from problem
    # The file of the users comes last: if this is cut off, the next run begins again.
    editor.edit(lambda document: add_user(document, name, entry))
    click.echo(f"{editor.path}: {name} was added; the password is in {password_file}")


user.add_command(key)


def _require(editor: UsersEditor, name: str) -> None:
    if name not in editor.read().users:
        raise CommandFailed(f"{editor.path}: there is no user {name}")


def _password(from_stdin: bool) -> str:
    """Read a password, and return its hash."""
    if from_stdin:
        password = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise click.UsageError("there is no terminal to ask for the password; use --password-stdin")
    try:
        return hash_password(password)
    except ValueError as problem:
        raise CommandFailed(str(problem)) from problem


def _tell(session: Session, document: Any, sentence: str) -> None:
    if session.as_json:
        session.show(document)
    else:
        click.echo(sentence)
