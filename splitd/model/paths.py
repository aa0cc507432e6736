"""Paths: how they are made up of the names of entries.  Pure.

Members of a collection have *entry names*: a file its name, `a`, and a collection its name with a slash, `a/`.  A path
is a slash, and the entry names on the way: `/x/a//b` is `x/`, `a/`, `/`, `b`.  So a path with a slash at its end is
that of a collection.  A path without one means the file of this name, or the collection if there is no such file.  A
file and a collection of one name share their *place*: the path without the slash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from splitd.errors import BadName
from splitd.model.path_faults import MAX_NAME, catalog_fault_of, fault_of, shape_fault_of


def check_path(path: str) -> None:
    """Refuse a path that WebDAV cannot give to anything.

    :raise BadName: the text is relative, ends with a slash, has an empty, "." or ".." segment, a control character or
        a lone surrogate, a segment of more than MAX_SEGMENT bytes in UTF-8, or more than MAX_PATH bytes in all.
    """
    _refuse(path, fault_of(path))


def check_catalog_path(path: str) -> None:
    """Refuse a text that no client can give to anything in the catalog as its path.

    :raise BadName: the text leads to what the server has for itself, does not begin with a slash, has a lone surrogate,
        a name of more than MAX_NAME bytes in UTF-8, or more than MAX_PATH bytes in all.
    """
    _refuse(path, catalog_fault_of(path))


def check_shape(path: str) -> None:
    """Refuse a text that cannot be the path in a URL, however long it may be.

    :raise BadName: the text is relative, ends with a slash, or has an empty, "." or ".." segment, or a control
        character.
    """
    _refuse(path, shape_fault_of(path))


def check_key_path(path: str) -> None:
    """Refuse a text that cannot be the path of a key: that of a bucket, a slash, and the key.

    :raise BadName: as `check_catalog_path` does; or the key is empty, or has more than MAX_NAME bytes in UTF-8.
    """
    check_catalog_path(path)
    key = path[path.find("/", 1) + 1 :] if path.find("/", 1) > 0 else ""
    size = len(key.encode())
    if not 0 < size <= MAX_NAME:
        raise BadName(f"{path[:200]!r}: a key of {size} bytes, it should have 1 to {MAX_NAME}")


def _refuse(path: str, reason: str) -> None:
    if reason:
        raise BadName(f"{path[:200]!r}: {reason}")


def place_of(path: str) -> str:
    """Return the place of a path: what locks, grants and changes are about.  That of the root is empty."""
    return path.removesuffix("/")


def above(place: str) -> Iterator[str]:
    """Iterate over the places of all collections that a place lies in, the root's first."""
    slash = place.find("/")
    while slash >= 0:
        yield place[:slash]
        slash = place.find("/", slash + 1)


def is_below(path: str, collection: str) -> bool:
    """Whether a path lies in a collection, or would lie in one that had this path."""
    return place_of(path).startswith(place_of(collection) + "/")


def join(collection: str, name: str) -> str:
    """Return the path of a member of a collection.

    :param collection: the path of the collection, with a slash at its end or without.
    :param name: the member's name, or its entry name.
    """
    return (collection if collection.endswith("/") else collection + "/") + name


def folder_of(path: str) -> str:
    """Return the path of the collection that a path lies in, with a slash at its end; the root lies in itself."""
    place = place_of(path)
    return place[: place.rfind("/") + 1] or "/"


def parent(path: str) -> str:
    """Return the place of the collection that a path lies in, "/" for the root, which lies in itself."""
    return place_of(folder_of(path)) or "/"


def basename(path: str) -> str:
    """Return the last name of a path; empty for the root."""
    return place_of(path).rpartition("/")[2]


def ancestors(path: str) -> Iterable[str]:
    """Iterate over all collections that a path lies in, the root first; none for the root or a relative path."""
    if path.startswith("/") and path != "/":
        yield from (place or "/" for place in above(place_of(path)))
