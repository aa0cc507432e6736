"""Derives what a store must show after a crash from what it answered before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs


@attrs.frozen(eq=False)
class Begun:
    """A change was requested.

    :param name: the name that it changes.
    :param result: the content of the name after the change; None if it no longer exists.
    """

    name: str
    result: Any


@attrs.frozen(eq=False)
class Ended:
    """A change was answered.

    :param made: whether the answer said that it was made; None if the answer left that open.
    """

    change: Begun
    made: bool | None


def allowed(notes: Iterable[Any]) -> dict[str, list[Any]]:
    """Return the contents that may exist after a crash, for each name that was changed.

    Changes of the same name must have been requested one after the other.
    """
    possible: dict[str, list[Any]] = {}
    for note in notes:
        if isinstance(note, Begun):
            possible.setdefault(note.name, [None]).append(note.result)
        elif isinstance(note, Ended):
            results = possible[note.change.name]
            if note.made:
                possible[note.change.name] = [note.change.result]
            elif note.made is False:
                del results[-1]
    return possible
