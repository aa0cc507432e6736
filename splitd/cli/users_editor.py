"""Edits the file of the users, and keeps its comments.

ruamel.yaml writes the whole file anew, with the indents of this project.  Edits go deep here, and the file has lists in
brackets as well as in lines: text that is inserted (see `splitd.cli.local.text`) would fit only to some of them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from splitd.access.entries import UsersEntries, read_users
from splitd.cli.errors import CommandFailed
from splitd.cli.writing import locked_folder, read_text, replace_file, resolved, write_file
from splitd.errors import UsersInvalid

HEAD = (
    "# The users, and what they may do; see docs/users.md.  `splitctl user` edits this file and keeps its comments.\n"
)

_WIDE = 4096


class NoSuchUser(CommandFailed):
    """The file has no user of this name."""


@attrs.frozen
class UsersEditor:
    """The file of the users.

    :param path: the file.
    """

    path: Path = attrs.field(converter=resolved)

    def read(self) -> UsersEntries:
        """Return what the file says; nobody if it is missing.

        :raise CommandFailed: the file cannot be read.
        """
        return self._check(self._text())

    def edit(self, change: Callable[[CommentedMap], None]) -> None:
        """Change the file, or make it; only its owner can read a new one.

        :param change: changes the document.
        :raise CommandFailed: the file cannot be read, the front would refuse it afterwards, or it cannot be written; it
            is as it was.
        """
        try:
            with locked_folder(self.path.parent):
                text = self._text()
                self._check(text)
                new = _rewritten(text, change)
                self._check(new)
                if self.path.exists():
                    replace_file(self.path, new)
                else:
                    write_file(self.path, new, 0o600)
        except OSError as problem:
            raise CommandFailed(f"{self.path}: {problem.strerror}; it is as it was") from problem
        except YAMLError as problem:
            raise CommandFailed(f"{self.path}: {problem}; it is as it was") from problem

    def _text(self) -> str:
        try:
            return read_text(self.path)
        except FileNotFoundError:
            return ""
        except OSError as problem:
            raise CommandFailed(f"{self.path}: {problem.strerror}") from problem
        except ValueError as problem:
            raise CommandFailed(f"{self.path}: {problem}") from problem

    def _check(self, text: str) -> UsersEntries:
        try:
            return read_users(str(self.path), text)
        except UsersInvalid as problem:
            raise CommandFailed(str(problem)) from problem


def _rewritten(text: str, change: Callable[[CommentedMap], None]) -> str:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    yaml.indent(mapping=2, sequence=4, offset=2)
    newline = "\r\n" if "\r\n" in text else "\n"
    document = yaml.load(text.replace("\r\n", "\n"))
    head = ""
    if document is None:  # a file of comments alone would lose them
        document, head = CommentedMap(), text.replace("\r\n", "\n") or HEAD
    change(document)
    out = io.StringIO()
    yaml.dump(document, out)
    return (head + out.getvalue()).replace("\n", newline)


def user_in(document: CommentedMap, name: str) -> CommentedMap:
    """Return the entry of a user.

    :raise NoSuchUser: there is none.
    """
    users = document.get("users") or {}
    if name not in users:
        raise NoSuchUser(f"there is no user {name}")
    if users[name] is None:
        users[name] = CommentedMap()
    entry: CommentedMap = users[name]
    return entry


def add_user(document: CommentedMap, name: str, entry: Mapping[str, Any]) -> None:
    """Add a user.

    :raise CommandFailed: there is one of this name.
    """
    if not document.get("users"):
        document["users"] = CommentedMap()
    if name in document["users"]:
        raise CommandFailed(f"there is a user {name} already")
    document["users"][name] = CommentedMap(entry)


def add_item(entry: CommentedMap, section: str, item: Mapping[str, Any]) -> None:
    """Add an item, written in braces, to a list of a user."""
    items = entry.get(section) or CommentedSeq()
    items.append(in_braces(item))
    entry[section] = items


def remove_item(entry: CommentedMap, section: str, key: str, value: str) -> bool:
    """Remove the item of a user's list whose key has a value; return whether there was one."""
    items = entry.get(section) or []
    for number, item in enumerate(items):
        if item[key] == value:
            del items[number]
            if not items:
                del entry[section]
            return True
    return False


def set_grant(entry: CommentedMap, path: str, allow: Sequence[str]) -> None:
    """Set what a user may do at a path, in place of what they could do there before."""
    for grant in entry.get("grants") or []:
        if grant["path"] == path:
            grant["allow"] = _in_brackets(allow)
            return
    add_item(entry, "grants", grant_item(path, allow))


def grant_item(path: str, allow: Sequence[str]) -> CommentedMap:
    """Return a grant as it stands in the file."""
    return in_braces({"path": path, "allow": _in_brackets(allow)})


def in_braces(item: Mapping[str, Any]) -> CommentedMap:
    """Return a mapping that is written on one line."""
    found = CommentedMap(item)
    found.fa.set_flow_style()
    return found


def _in_brackets(items: Sequence[str]) -> CommentedSeq:
    found = CommentedSeq(items)
    found.fa.set_flow_style()
    return found
