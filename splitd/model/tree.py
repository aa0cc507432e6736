"""Names: paths, collections and their members.  Pure."""

from __future__ import annotations

import attrs

from splitd.model.manifest import Manifest


@attrs.frozen
class Collection:
    """What a collection says of itself; its members are listed, not kept here.

    :param created_ms: when it was made, milliseconds since 1970.
    :param modified_ms: when a member was last added, replaced or removed.
    """

    created_ms: int
    modified_ms: int


@attrs.frozen
class Member:
    """One name in a collection."""

    name: str
    entry: Manifest | Collection
