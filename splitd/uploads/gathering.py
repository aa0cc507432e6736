"""Small files gather for a group: decides which of them are stored together, and when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

_PATIENCE_S = 0.1
"""How long a file waits for the group before it: where a node is slow, others need not be."""

NEAR_GAP_S = 0.001
"""How long after a file the next one comes at the latest, if clients send at once when they have their answers."""

FAR_GAP_S = 0.004
"""The same where each file is asked about over a connection first, so that files come as the answers do."""

_LONGEST_S = 0.012
"""A group waits for no more files so long after the end of the one before."""

_MOST_FILES = 256

_MOST_BYTES = 1024 * 1024
"""Of the parts for one node: so much it takes in one message."""


class IGathered(Protocol):
    """A file that waits.

    :ivar given_up: whether nobody waits for it any more.
    :ivar stored_size: the bytes that its largest part takes.
    """

    given_up: bool
    stored_size: int


_File = TypeVar("_File", bound=IGathered)


class Gathering(Generic[_File]):
    """The files that wait for the next group.

    A group costs about as much as eight files: messages, syncs, records.  So one group is under way at a time, and when
    it has ended, the next one waits for as many files as there were last: clients that have their answers send the next
    files soon.  One file alone waits for nobody.

    :param clock: calls later.
    :param gap_s: a group that may begin waits for as long as files keep coming, each at most so many seconds after the
        one before.
    :param begin: called with the files of a group.
    """

    def __init__(self, clock: IReactorTime, gap_s: float, begin: Callable[[list[_File]], object]) -> None:
        self._clock = clock
        self._gap_s = gap_s
        self._begin_group = begin
        self._waiting: deque[_File] = deque()
        self._begins: IDelayedCall | None = None
        self._under_way = 0
        self._again = 0  # how many of the groups under way wait once more
        self._seen = 0  # how many waited when they were counted last
        self._expected = 1
        self._expected_until = 0.0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, file: _File, *, again: bool = False) -> None:
        """Let a file wait for its group, which begins in another turn of the reactor.

        :param again: whether it was in a group already: its client will not send another one.
        """
        self._waiting.append(file)
        if self._under_way:
            self._again += again
            if self._begins is None:
                self._begins = self._clock.callLater(_PATIENCE_S, self.begin)
        elif self._is_complete():
            # Never at once: what else arrives in this turn of the reactor goes along.
            self._look_in(0)
        elif self._begins is None:
            self._look_in(self._gap_s)

    def began(self) -> None:
        """Take note that a group is under way."""
        self._under_way += 1

    def ended(self, count: int) -> None:
        """Take note that a group has ended.

        :param count: how many files it had.
        """
        self._under_way -= 1
        self._expected = count - self._again + len(self._waiting)
        self._expected_until = self._clock.seconds() + _LONGEST_S
        self._again = 0
        if self._waiting and not self._under_way:
            self._look_in(0 if self._is_complete() else self._gap_s)

    def _is_complete(self) -> bool:
        return len(self._waiting) >= self._expected or self._clock.seconds() >= self._expected_until

    def _look_in(self, seconds: float) -> None:
        if self._begins is not None and self._begins.active():
            self._begins.cancel()
        self._seen = len(self._waiting)
        self._begins = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        if len(self._waiting) > self._seen and not self._is_complete():
            self._look_in(self._gap_s)
        else:
            self.begin()

    def begin(self) -> None:
        """Begin a group with the files that wait, as many as it may have."""
        if self._begins is not None and self._begins.active():
            self._begins.cancel()
        self._begins = None
        files: list[_File] = []
        size = 0
        while self._waiting and len(files) < _MOST_FILES and size + self._waiting[0].stored_size <= _MOST_BYTES:
            file = self._waiting.popleft()
            if not file.given_up:
                files.append(file)
                size += file.stored_size
        if self._waiting:
            self._begins = self._clock.callLater(_PATIENCE_S, self.begin)
        self._begin_group(files)
