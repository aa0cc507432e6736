"""What clients note of files and collections: dead properties (RFC 4918 section 4).  Pure.

A property's name is "{namespace}name", or the name alone where it is in no namespace; its value is its whole XML
element, which stands for itself wherever it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from splitd.errors import PropertiesTooLarge

MAX_PROPERTIES = 64 * 1024
"""Bytes that the properties of one file or collection may take, names and elements."""


@attrs.frozen
class PropertyChanges:
    """Changes of properties, made all or none.

    :param set: elements by names.
    :param removed: names; they need not be there.
    """

    set: Mapping[str, str]
    removed: Sequence[str]


def refuse_too_large(present: Mapping[str, str], changes: PropertyChanges) -> None:
    """Refuse changes that would leave too much behind.

    :raise PropertiesTooLarge: they would.
    """
    after = {**present, **changes.set}
    for name in changes.removed:
        after.pop(name, None)
    size = sum(len(name.encode()) + len(element.encode()) for name, element in after.items())
    if size > MAX_PROPERTIES:
        raise PropertiesTooLarge(f"properties of {size} bytes, {MAX_PROPERTIES} are allowed")
