"""Asks parts of a version for something at the same time, and others in place of those that fail or are late."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from splitd.downloads.survivors import Survivors
from splitd.errors import FileDamaged, FileUnavailable
from splitd.interfaces.nodes import SILENT, IReadPolicy, Wait
from splitd.model.manifest import Manifest
from storaged.system.stalls import stood_still

_Answer = TypeVar("_Answer")

_GRACE_S = 0.1
"""How much longer answers may take after this process stood still itself."""


class Race(Generic[_Answer]):
    """Asks parts until there are enough answers.

    :param survivors: the parts that can be read; the race loses those that fail.
    :param ask: asks a part, by its index; the Deferred fails with `FileUnavailable` or `FileDamaged` if the part cannot
        be read.  Requests that are not needed any more are cancelled.
    :param wait: what is waited for, by the index of the part.
    :param policy: says when an answer is late.
    :param clock: schedules calls.
    :ivar answers: the answers so far, by the indexes of the parts.
    :ivar late: the indexes of the parts that were late, and for which others were asked.
    :ivar abandoned: the indexes of the parts whose requests were cancelled at the end.
    """

    def __init__(
        self,
        manifest: Manifest,
        survivors: Survivors,
        ask: Callable[[int], Deferred[_Answer]],
        wait: Callable[[int], Wait],
        policy: IReadPolicy,
        clock: Any,
    ) -> None:
        self._nodes = manifest.nodes
        self._guarded = manifest.parity > 0
        self._survivors = survivors
        self._ask = ask
        self._wait = wait
        self._policy = policy
        self._clock = clock
        self._pending: dict[int, Deferred[Any]] = {}
        self._began: dict[int, float] = {}
        self._waits: dict[int, Wait] = {}
        self._judged: set[int] = set()  # those that were late when they were looked at
        self._silent: set[int] = set()
        self._timer: IDelayedCall | None = None
        self._due_at = math.inf
        self._changed: Deferred[None] | None = None
        self._problem: Failure | None = None
        self._over = False
        self.answers: dict[int, _Answer] = {}
        self.late: set[int] = set()
        self.abandoned: set[int] = set()

    async def run(
        self, first: Iterable[int], wanted: Collection[int], need: int, choose: Callable[[int, set[int]], list[int]]
    ) -> None:
        """Ask parts, until the answers of all wanted parts are there, or those of `need` parts.

        :param first: the parts to ask at first; they include all wanted parts, or are `need` parts.
        :param wanted: the parts whose answers are enough.
        :param need: how many answers are enough, whichever they are.
        :param choose: chooses further parts, as `Survivors.choose` does.
        :raise FileUnavailable, FileDamaged: more parts have failed than there are parity parts.
        """
        self._wanted, self._need, self._choose = frozenset(wanted), need, choose
        try:
            self._ask_all(first)
            while True:
                if self._problem is not None:
                    self._problem.raiseException()
                if self._suffice(self.answers):
                    return
                if not self._ask_more():
                    await self._change()
        finally:
            self._end()

    def _suffice(self, indexes: Collection[int]) -> bool:
        return len(indexes) >= self._need or self._wanted.issubset(indexes)

    def _ask_all(self, indexes: Iterable[int]) -> None:
        now = self._clock.seconds()
        for index in indexes:
            self._began[index] = now
            if self._guarded:
                self._waits[index] = self._wait(index)
            asked = self._ask(index)
            if asked.called and not isinstance(asked.result, Failure | Deferred):
                answer: Any = asked.result
                self.answers[index] = answer  # it was in memory: that tells nothing about the node
                continue
            self._pending[index] = asked
            asked.addCallbacks(self._came, self._failed, callbackArgs=(index,), errbackArgs=(index,))

    def _ask_more(self) -> bool:
        """Replace the parts that have failed, and those that are late.

        :return: whether a part was asked, which may have answered or failed already.
        """
        in_time = self.answers.keys() | (self._pending.keys() - self.late)
        if self._suffice(in_time):
            return False
        more = self._choose(self._need - len(in_time), set(self._began))
        self._ask_all(more)
        return bool(more)

    def _change(self) -> Deferred[None]:
        """Wait until enough parts have answered, or one has failed, or is late."""
        self._set_timer()
        changed = self._changed = Deferred()
        return changed

    def _came(self, answer: _Answer, index: int) -> None:
        if self._over:
            return
        del self._pending[index]
        self.answers[index] = answer
        if self._guarded:
            self._took(index)
        if self._suffice(self.answers):
            self._wake()

    def _failed(self, failure: Failure, index: int) -> None:
        if self._over:
            return
        del self._pending[index]
        problem = failure.value
        try:
            if not isinstance(problem, FileUnavailable | FileDamaged):
                failure.raiseException()
            self._survivors.lose(index, problem)
        except Exception:
            self._problem = Failure()
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.callback(None)

    def _set_timer(self) -> None:
        """Look at the pending requests when the first one of them is late."""
        if not self._guarded:
            return
        due_at = min((self._due(index) for index in self._pending), default=math.inf)
        if self._timer is not None and self._timer.active():
            if due_at >= self._due_at:
                return
            self._timer.cancel()
        self._timer = None
        if due_at < math.inf:
            self._due_at = due_at
            self._timer = self._clock.callLater(max(0.0, due_at - self._clock.seconds()), self._look)

    def _due(self, index: int) -> float:
        """When to look at a pending request next."""
        if index in self._silent:
            return math.inf
        late_s: float = self._policy.late_after_s(self._waits[index])
        silent_s: float = self._policy.silent_after_s
        return self._began[index] + (silent_s if index in self._judged else min(late_s, silent_s))

    def _look(self) -> None:
        """Decide which requests are late, and which nodes silent."""
        now = self._clock.seconds()
        if stood_still(self._clock, self._due_at):
            # Answers may have arrived meanwhile, and will be read in this turn of the reactor.
            stalled_s = now - self._due_at
            self._began = {index: began + stalled_s + _GRACE_S for index, began in self._began.items()}
            self._wake()
            return
        for index in list(self._pending):
            waited = now - self._began[index]
            if index in self._silent:
                continue
            if waited >= self._policy.silent_after_s:
                self._judged.add(index)
                self.late.add(index)
                self._silent.add(index)
                self._policy.silent(self._nodes[index])
            elif index not in self._judged and waited >= self._policy.late_after_s(self._waits[index]):
                self._judged.add(index)
                if self._may_hedge(index):
                    self.late.add(index)
        self._wake()

    def _may_hedge(self, index: int) -> bool:
        """Whether to ask others because a part is late: nodes that are not silent, as many as are needed."""
        in_time = self.answers.keys() | (self._pending.keys() - self.late - {index})
        others = self._choose(self._need - len(in_time), set(self._began))
        enough = len(in_time) + len(others) >= self._need
        well = all(self._policy.rank(self._nodes[other]) < SILENT for other in others)
        return enough and well and self._policy.may_hedge(len(others))

    def _took(self, index: int) -> None:
        self._policy.took(self._waits[index], self._nodes[index], self._clock.seconds() - self._began[index])

    def _end(self) -> None:
        """Cancel what is pending.  A late request that lost counts as one that took as long as it was given."""
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self.abandoned = set(self._pending)
        for index, asked in self._pending.items():
            if index in self._judged:
                self._took(index)
            asked.cancel()
        self._pending = {}
