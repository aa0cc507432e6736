"""Properties that are kept with files and collections.  Pure.

Clients set nearly all of them (RFC 4918 section 4: dead properties).  Those in the namespace `OWN` are splitd's own:
clients read them, and only operators change them.

A property's name is "{namespace}name", or the name alone if it is in no namespace.  Its value is its whole XML element,
which has the same meaning in any document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs

from splitd.errors import PropertiesTooLarge

MAX_PROPERTIES = 64 * 1024
"""The most bytes that the properties of one file or collection may take, names and elements together."""

OWN = "splitd:"
"""The namespace of splitd's own properties."""

LAYOUT = f"{{{OWN}}}layout"
"""The layout of the files that are stored in this collection from now on, and below it."""

_LAYOUT_ELEMENT = re.compile(rf'\A<layout xmlns="{OWN}">([0-9]{{1,3}}\+[0-9])</layout>\Z')


def write_layout(layout: str) -> str:
    """Return the element of the property `LAYOUT`.

    :param layout: the layout, as "6+2".
    """
    return f'<layout xmlns="{OWN}">{layout}</layout>'


def read_layout(element: str) -> str:
    """Return the layout in an element of `write_layout`; empty if it is a different element."""
    match = _LAYOUT_ELEMENT.match(element)
    return match[1] if match else ""


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
