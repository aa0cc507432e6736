"""Paths of files and collections, as users type them and as they stand in a URL.  Pure."""

from __future__ import annotations

from urllib.parse import quote


def clean_path(path: str) -> str:
    """Return a path as the server names it: with a slash at the start and none at the end; the root is "/"."""
    return "/" + path.strip("/")


def quote_path(path: str) -> str:
    """Return a path as it stands in a request; names that are not UTF-8 keep their bytes."""
    return quote(clean_path(path).encode("utf-8", "surrogateescape"), safe="/")


def join_path(parent: str, name: str) -> str:
    """Return the path of a name in a collection."""
    return clean_path(f"{clean_path(parent)}/{name}")


def printable(name: str) -> str:
    """Return a name that is safe to print on a terminal: characters that are not printable become question marks."""
    return "".join(character if character.isprintable() else "?" for character in name)
