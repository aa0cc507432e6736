"""The bin: where deleted files and collections lie until they are purged or restored.  Pure.

It is a collection of the tree that no client can name: `/.splitd/bin/KEY/OLD/PATH`.  So all that works on stored files
works on those in the bin, and to delete or to restore a tree is a move.  `KEY` is a collection for each deletion, whose
property `BINNED` says the rest.  The collections of the old path in between are implied: they go with what lies in
them.
"""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

from splitd.model.path_faults import OWN, is_own
from splitd.model.paths import place_of
from splitd.model.properties import OWN as NAMESPACE

BIN = f"{OWN}/bin"
BINNED = f"{{{NAMESPACE}}}binned"
"""The property of what was deleted together: see `Binned.note`."""

_LAST_MS = 10**14 - 1
_DIGITS = 14


@attrs.frozen
class Binned:
    """A file or a collection in the bin.

    :param key: its name there; keys ascend from the last deletion to the first.
    :param path: where it was, without a slash at the end unless there was a file beside the collection.
    :param user: who deleted it; empty without users.
    :param is_collection: whether it is a collection.
    :param bytes: the bytes of all files in it, as clients count them.
    :param files: how many files these are.
    :param is_size_hidden: whether the one who asks may not know how much it is; `bytes` and `files` are 0 then.
    """

    key: str
    path: str
    user: str = ""
    is_collection: bool = False
    bytes: int = 0
    files: int = 0
    is_size_hidden: bool = False

    @property
    def deleted_ms(self) -> int:
        """When it was deleted, milliseconds since 1970."""
        return _LAST_MS - int(self.key[:_DIGITS])

    @property
    def lies_at(self) -> str:
        """Its path in the tree now."""
        return lies_at(self.key, self.path)

    def note(self) -> str:
        """Return the value of the property `BINNED`, from which `read_note` makes it again."""
        noted = attrs.asdict(self)
        del noted["key"], noted["is_size_hidden"]
        return msgspec.json.encode(noted).decode()


def read_note(key: str, note: str) -> Binned:
    """Return what a value of the property `BINNED` says.

    :raise msgspec.DecodeError: it is no such value.
    """
    return msgspec.convert({"key": key, **msgspec.json.decode(note, type=dict[str, Any])}, Binned)


def make_key(deleted_ms: int, unique: str) -> str:
    """Return the key of what is deleted at a time.

    :param deleted_ms: milliseconds since 1970.
    :param unique: tells it from what is deleted at the same time.
    """
    return f"{first_key(deleted_ms)}_{unique}"


def first_key(deleted_ms: int) -> str:
    """Return a text that comes before the keys of all that was deleted at a time or earlier, and after all others."""
    return f"{min(max(_LAST_MS - deleted_ms, 0), _LAST_MS):0{_DIGITS}d}"


def lies_at(key: str, path: str) -> str:
    """Return the path of something in the bin.

    :param path: where it was.
    """
    return f"{BIN}/{key}{path}"


def was_at(path: str) -> str | None:
    """Return where something in the bin was, or would have been; None if a path leads to nothing in the bin."""
    if not path.startswith(f"{BIN}/"):
        return None
    slash = path.find("/", len(BIN) + 1)
    return "/" if slash < 0 else path[slash:]


def metered(path: str) -> str:
    """Return the path at which something counts for quotas: what is in the bin counts at `metered_beside` of where it
    was, whatever its key is.
    """
    if not is_own(path):
        return path
    before = was_at(path)
    return path if before is None else metered_beside(before)


def metered_beside(path: str) -> str:
    """Return where those things in the bin count that were at a path or below it."""
    return BIN + place_of(path)
