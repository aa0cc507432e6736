"""The order of changes: changes that touch each other take turns, all others proceed in parallel."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import TypeAlias

from twisted.internet.defer import Deferred

from splitd.model.paths import above, place_of

_Places: TypeAlias = list[tuple[str, tuple[str, ...]]]


class Turn:
    """One change's place in the queue.

    :ivar keys: the keys of the change.
    :ivar places: each key, or the place of a path, with what it lies in.
    :ivar began: a Deferred that fires with None when the change may be judged and made.  Cancelling it ends the
        turn.  None if the change may be judged and made at once.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.places = [_place(key) for key in keys]
        self.ahead: dict[Turn, None] = {}
        self.behind: dict[Turn, None] = {}
        self.began: Deferred[None] | None = None

    def wait_for(self, others: Iterable[Turn]) -> None:
        """Begin only after these have ended."""
        for other in others:
            self.ahead[other] = None
            other.behind[self] = None


class Turns:
    """The changes in progress, and those that wait for them.

    Each change names its keys.  Two changes touch each other if a key of one is a key of the other, or, for paths, an
    ancestor of it.  A change begins when all earlier changes that touch it have ended.  So no change waits for ever,
    and none waits for a change that does not touch it.
    """

    def __init__(self) -> None:
        self._at: dict[str, dict[Turn, None]] = {}
        self._below: dict[str, dict[Turn, None]] = {}
        self._free: deque[Turn] = deque()
        self._freeing = False

    def __len__(self) -> int:
        """Count the changes that are in progress or wait."""
        return len(set().union(*self._at.values()))

    def queue(self, *keys: str) -> Turn:
        """Take the next place in the queue.

        :param keys: paths; or other texts that do not begin with a slash: of these, "a/b" lies in "a".
        :return: the turn, which has begun already if it touches no other.  The caller must `end` it.
        """
        turn = Turn(keys)
        for key, outside in turn.places:
            if key in self._below:
                turn.wait_for(self._below[key])
            for same in (key, *outside):
                # Waiting for the last turn with this key is enough: it waits for all earlier ones.
                if same in self._at:
                    turn.wait_for(islice(reversed(self._at[same]), 1))
        for key, outside in turn.places:
            self._at.setdefault(key, {})[turn] = None
            for ancestor in outside:
                self._below.setdefault(ancestor, {})[turn] = None
        if turn.ahead:
            turn.began = Deferred(lambda _: self.end(turn))
        return turn

    def end(self, turn: Turn) -> None:
        """End a turn, begun or not.  The turns behind it begin if they wait for no other turn."""
        for key, outside in turn.places:
            _leave(self._at, key, turn)
            for ancestor in outside:
                _leave(self._below, ancestor, turn)
        ahead, turn.ahead = turn.ahead, {}
        behind, turn.behind = turn.behind, {}
        for other in ahead:
            del other.behind[turn]
        for other in behind:
            del other.ahead[turn]
            # A turn that ends before it began has waited for these turns on behalf of the other one.
            other.wait_for(before for before in ahead if _touch(before.places, other.places))
            if not other.ahead:
                self._free.append(other)
        self._begin_free()

    def _begin_free(self) -> None:
        # A change may end while it begins, and free the next one.  In a long queue, recursion would overflow the stack.
        if self._freeing:
            return
        self._freeing = True
        try:
            while self._free:
                turn = self._free.popleft()
                if turn.began is not None and not turn.began.called:  # else it was cancelled
                    turn.began.callback(None)
        finally:
            self._freeing = False


def _place(key: str) -> tuple[str, tuple[str, ...]]:
    if "/" not in key:  # as the id of an upload
        return key, ()
    place = place_of(key) if key.startswith("/") else key
    return place, tuple(above(place))


def _touch(one: _Places, two: _Places) -> bool:
    return any(a == b or a in above_b or b in above_a for a, above_a in one for b, above_b in two)


def _leave(lines: dict[str, dict[Turn, None]], key: str, turn: Turn) -> None:
    line = lines.get(key)
    if line is not None:
        line.pop(turn, None)
        if not line:
            del lines[key]
