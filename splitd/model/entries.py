"""What a path can have: files, which their manifests describe, and collections.  Pure."""

from __future__ import annotations

import attrs
import msgspec

from splitd.model.manifest import Manifest


@attrs.frozen
class Collection:
    """The attributes of a collection, without its members.

    :param created_ms: when it was made, milliseconds since 1970.
    :param modified_ms: when a member was last added, replaced or removed.
    :param implied: whether it is there only because something is in it, and goes with the last of that.
    :param own: the file that the collection itself is, beside its members; None if it is none.
    """

    created_ms: int
    modified_ms: int
    implied: bool = False
    own: Manifest | None = None


class Member(msgspec.Struct, frozen=True, gc=False):
    """One name in a collection.

    :param name: the name, with a slash at its end only for a collection beside a file of this name, and for a
        collection without a name.
    """

    name: str
    entry: Manifest | Collection
