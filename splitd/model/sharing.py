"""Shares one object among equal values, so that a million of them take the memory of a few.  Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

_Value = TypeVar("_Value", bound=Hashable)

_LONGEST = 1024
"""Characters of the longest text that is kept."""


class Shared:
    """A bounded table of values.  `sys.intern` would keep texts made up by clients for longer than they are needed.

    :param limit: how many values are kept; the oldest one is evicted first, and stays alive wherever it is in use.
    """

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._values: dict[Hashable, Hashable] = {}

    def __len__(self) -> int:
        return len(self._values)

    def share(self, value: _Value) -> _Value:
        """Return an object that equals the value: the one in the table if there is one, else the value itself, which is
        then put into the table unless it is a long text.
        """
        if isinstance(value, str) and len(value) > _LONGEST:
            return value
        found = self._values.setdefault(value, value)
        if len(self._values) > self._limit:
            del self._values[next(iter(self._values))]
        return found  # type: ignore[return-value]  # it equals the value, and has its type
