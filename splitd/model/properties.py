"""Dead properties, which clients set on files and collections (RFC 4918 section 4).  Pure.

A property's name is "{namespace}name", or the name alone if it is in no namespace.  Its value is its whole XML element,
which has the same meaning in any document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from splitd.errors import PropertiesTooLarge

MAX_PROPERTIES = 64 * 1024
"""The most bytes that the properties of one file or collection may take, names and elements together."""


@attrs.frozen
class PropertyChanges:
    """Changes of properties; either all of them are made, or none.

    :param set: the new elements by the properties' names.
    :param removed: the names of properties to remove; they need not exist.
    """

    set: Mapping[str, str]
    removed: Sequence[str]


def refuse_too_large(present: Mapping[str, str], changes: PropertyChanges) -> None:
    """Refuse changes after which the properties would be too large.

    :param present: the properties before the changes.
    :raise PropertiesTooLarge: the properties would take more than `MAX_PROPERTIES` bytes.
    """
    after = {**present, **changes.set}
    for name in changes.removed:
        after.pop(name, None)
    size = sum(len(name.encode()) + len(element.encode()) for name, element in after.items())
    if size > MAX_PROPERTIES:
        raise PropertiesTooLarge(f"properties of {size} bytes, {MAX_PROPERTIES} are allowed")
