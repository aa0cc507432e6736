"""Small parts that are being stored: which are taken, what becomes of each, and what is counted afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from storaged.disk.room import Promise, Room
from storaged.packs.index import Place
from storaged.packs.packs import NewPart
from storaged.packs.store import PackStore
from storaged.parts.errors import StoragedError
from storaged.parts.format import PartId
from storaged.parts.values import PartInfo

_Places: TypeAlias = Sequence[Place | StoragedError]
_Outcomes: TypeAlias = list[PartInfo | StoragedError]
_Ended: TypeAlias = tuple[list[str], Promise, int]
"""The ids of parts that were to be stored, the room that was promised for them, and the bytes that they took."""


@attrs.define(eq=False)
class _Admitted:
    """The parts of one request.

    :param refused: for each of them, in their order, why it is not stored; None if it may be.
    :param puts: those that may be stored, by their ids.
    :param promise: the room for them.
    """

    refused: list[StoragedError | None]
    puts: dict[str, NewPart]
    promise: Promise

    def outcomes(self, places: _Places) -> _Outcomes:
        """Return the outcome of each part.  May be called in any thread."""
        stored = map(_info, self.puts, places)
        return [next(stored) if problem is None else problem for problem in self.refused]

    def end(self, places: _Places) -> _Ended:
        """Return what is left of the request when it is done, without the bytes of its parts."""
        return list(self.puts), self.promise, sum([place.length for place in places if isinstance(place, Place)])


class SmallPuts:
    """Stores small parts in packs.

    :param room: the room of the node.
    :param admit: returns the id of a part, given its text, its bytes and the bytes that are free; or raises to refuse
        it.
    """

    def __init__(self, packs: PackStore, room: Room, admit: Callable[[str, int, int], PartId]) -> None:
        self._packs = packs
        self._room = room
        self._admit = admit
        self._under_way: set[str] = set()
        self._ended: deque[_Ended] = deque()  # filled by the thread of the packs

    def __contains__(self, part_id: str) -> bool:
        return part_id in self._under_way

    def put_all(self, parts: Sequence[tuple[str, bytes]]) -> Deferred[_Outcomes]:
        """Store parts; see `ISmallPartStore.put_all`."""
        admitted = self._admit_all(parts)

        def ended(places: _Places | Failure) -> _Outcomes | Failure:
            self._end(*admitted.end(() if isinstance(places, Failure) else places))
            return places if isinstance(places, Failure) else admitted.outcomes(places)

        return self._packs.put_all(list(admitted.puts.values())).addBoth(ended)

    def put_all_then(self, parts: Sequence[tuple[str, bytes]], then: Callable[[_Outcomes], object]) -> None:
        """Store parts; see `IPromptPuts.put_all_then`."""
        admitted = self._admit_all(parts)

        def stored(places: _Places) -> None:
            self._ended.append(admitted.end(places))
            then(admitted.outcomes(places))

        try:
            self._packs.put_all_then(list(admitted.puts.values()), stored)
        except StoragedError:
            self._end(*admitted.end(()))
            raise

    def settle(self) -> None:
        """Count the parts that were stored meanwhile, of which only the thread of the packs knows."""
        while self._ended:
            self._end(*self._ended.popleft())
            self._packs.look_after()

    def _admit_all(self, parts: Sequence[tuple[str, bytes]]) -> _Admitted:
        self.settle()
        refused: list[StoragedError | None] = []
        puts: dict[str, NewPart] = {}
        size, free = 0, self._room.free
        for part_id, data in parts:
            try:
                puts[part_id] = NewPart(self._admit(part_id, len(data), free - size), data)
            except StoragedError as problem:
                refused.append(problem)
            else:
                refused.append(None)
                self._under_way.add(part_id)
                size += len(data)
        return _Admitted(refused, puts, self._room.promise(size))

    def _end(self, part_ids: Sequence[str], promise: Promise, used: int) -> None:
        self._under_way.difference_update(part_ids)
        promise.use(used)
        promise.end()


def _info(part_id: str, place: Place | StoragedError) -> PartInfo | StoragedError:
    return PartInfo(part_id, place.length, place.time_ms) if isinstance(place, Place) else place
