"""Knows what a store must show after a crash, from what it answered before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs


@attrs.frozen(eq=False)
class Begun:
    """A change was asked for.

    :param name: what it is about.
    :param result: what is there when it is made; None where nothing is.
    """

    name: str
    result: Any


@attrs.frozen(eq=False)
class Ended:
    """A change was answered.

    :param made: whether it was said to be made; None where that was left open.
    """

    change: Begun
    made: bool | None


def allowed(notes: Iterable[Any]) -> dict[str, list[Any]]:
    """What may be there, for each name there was talk of.

    Changes of one name must have been asked for one after the other.
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
