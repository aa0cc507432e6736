"""Paths of files and collections, as they are typed and as they stand in a URL.  Pure."""

from __future__ import annotations

from urllib.parse import quote


def clean_path(path: str) -> str:
    """A path as the server names it: with a slash in front and none at the end; the root is "/"."""
    return "/" + path.strip("/")


def quote_path(path: str) -> str:
    """A path as it stands in a request; names that are not UTF-8 keep their bytes."""
    return quote(clean_path(path).encode("utf-8", "surrogateescape"), safe="/")


def join_path(parent: str, name: str) -> str:
    """The path of a name in a collection."""
    return clean_path(f"{clean_path(parent)}/{name}")


def printable(name: str) -> str:
    """A name that is safe on a terminal: what would steer it is a question mark."""
    return "".join(character if character.isprintable() else "?" for character in name)
