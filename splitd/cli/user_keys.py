"""splitctl user key: pairs of keys for S3, whose secrets are sealed under the cluster key."""

from __future__ import annotations

from pathlib import Path

import click
from ruamel.yaml.comments import CommentedMap

from splitd.access.secrets import Seal, new_key
from splitd.cli.errors import CommandFailed
from splitd.cli.local.plan import KEY
from splitd.cli.recover import read_keys
from splitd.cli.session import Session, pass_session
from splitd.cli.users_editor import UsersEditor, add_item, remove_item, user_in
from splitd.cli.users_options import file_option

_PLACES = (KEY, f"var/{KEY}", f"/key/{KEY}")
"""Where the cluster key lies: beside the users, where `make run` makes it, and in the containers."""


key_option = click.option(
    "--cluster-key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="SPLITD_CLUSTER_KEY_FILE",
    show_envvar=True,
    help=f"The cluster key of the front, which seals the secrets.  [default: {KEY} beside the file of the users, "
    f"{', '.join(_PLACES[1:])}]",
)


@click.group()
def key() -> None:
    """Make, seal and remove pairs of keys, for requests that are signed as Amazon's S3 defines it."""


@key.command("add")
@click.argument("name")
@file_option
@key_option
@pass_session
def add_key(session: Session, name: str, file: Path, cluster_key_file: Path | None) -> None:
    """Make a pair of keys, and print it: the secret is not shown again."""
    key_id, secret = new_key()
    sealed = Seal(*_cluster_keys(cluster_key_file, file)).seal(key_id, secret)
    UsersEditor(file).edit(lambda document: add_item(user_in(document, name), "keys", {"id": key_id, "secret": sealed}))
    if session.as_json:
        session.show({"user": name, "access_key": key_id, "secret_key": secret})
    else:
        click.echo(f"access key: {key_id}\nsecret key: {secret}")


@key.command("reseal")
@file_option
@key_option
@pass_session
def reseal_keys(session: Session, file: Path, cluster_key_file: Path | None) -> None:
    """Seal the secrets of all keys anew, under the first key in the file of the cluster key.

    This is a step of a change of the cluster key, when the file has the new key and below it the old one: afterwards
    the old one is not needed.  The keys of the users stay the same.
    """
    keys = _cluster_keys(cluster_key_file, file)
    first, all_of_them = Seal(keys[0]), Seal(*keys)
    count = 0

    def change(document: CommentedMap) -> None:
        nonlocal count
        for name, user in (document.get("users") or {}).items():
            for item in (user or {}).get("keys") or []:
                if not _opens(first, item):
                    item["secret"] = first.seal(item["id"], _secret(all_of_them, name, item))
                    count += 1

    UsersEditor(file).edit(change)
    if session.as_json:
        session.show({"resealed": count})
    else:
        click.echo(f"{count} secrets were sealed under the first cluster key; the others are already")


def _opens(seal: Seal, item: CommentedMap) -> bool:
    try:
        seal.open(item["id"], item["secret"])
    except ValueError:
        return False
    return True


def _secret(seal: Seal, name: str, item: CommentedMap) -> str:
    try:
        return seal.open(item["id"], item["secret"])
    except ValueError as problem:
        raise CommandFailed(f"key {item['id']} of {name}: {problem}; nothing was changed") from problem


@key.command("rm")
@click.argument("name")
@click.argument("key_id")
@file_option
@pass_session
def remove_key(session: Session, name: str, key_id: str, file: Path) -> None:
    """Remove a pair of keys by its access key.  It is refused from then on."""

    def change(document: CommentedMap) -> None:
        if not remove_item(user_in(document, name), "keys", "id", key_id):
            raise CommandFailed(f"{name} has no key {key_id}")

    UsersEditor(file).edit(change)
    if session.as_json:
        session.show({"user": name, "access_key": key_id})
    else:
        click.echo(f"the key {key_id} of {name} was removed")


def _cluster_keys(given: Path | None, users: Path) -> tuple[str, ...]:
    places = [given] if given is not None else [users.resolve().parent / _PLACES[0], *map(Path, _PLACES[1:])]
    for place in places:
        if place.exists():
            return read_keys(place).all()
    raise CommandFailed(
        f"there is no cluster key at {', '.join(map(str, places))}; name the front's with --cluster-key-file"
    )
