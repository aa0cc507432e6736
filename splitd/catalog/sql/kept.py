"""Look-ups that a front keeps, and believes once the database has said that nothing has changed there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from splitd.catalog.sql.stamps import News
from splitd.catalog.stamped import Found, StampedLooks
from splitd.catalog.touched import GROUPS, group_of
from splitd.interfaces.catalog import Prove
from splitd.model.manifest import Manifest
from splitd.model.paths import place_of

_Look = Callable[[], Deferred[Found]]
_Stamp = tuple[int, int, int]
"""How often all paths were touched, and those of a group, and the number of the group."""

_MOST = 64
"""How many look-ups one answer of the database proves at most: with each of them, the reactor answers a request."""


class KeptLooks:
    """Looks up paths, or finds out that what was found before is still there.

    The database is asked which groups of paths any connection has touched since it was asked last: once for all
    look-ups that come in one turn of the reactor, or while it answers the question before.  So a look-up finds every
    change that anybody on any front was told of before it began, and reads a few small rows in place of those of its
    path.

    :param check: asks the database for news; fires when all that was committed before the call was told to `tell`.
    :param soon: calls something at the end of the reactor's turn.
    :ivar answered: how many look-ups were answered by what was kept.
    """

    def __init__(self, check: Callable[[], Deferred[News]], soon: Callable[[Callable[[], None]], object]) -> None:
        self._check = check
        self._soon = soon
        self._all = 0
        self._groups = [0] * GROUPS
        self._kept: StampedLooks[tuple[bool, str], _Stamp] = StampedLooks()
        self._waiting: list[tuple[_Stamp, Deferred[bool]]] = []  # for a check that has not begun
        self._is_checking = False
        self.answered = 0

    def tell(self, news: News) -> None:
        """Take in what has been touched."""
        if news.groups is None:
            self._all += 1
        else:
            for group in news.groups:
                self._groups[group] += 1

    def known_file(self, path: str) -> tuple[Manifest, Prove] | None:
        """Return a file that is kept, and what proves that it is still there; see `ICatalog.known_file`."""
        kept = self._kept.find((False, path))
        if kept is None or not isinstance(kept[1], Manifest) or not self._holds(kept[0]):
            return None
        return kept[1], partial(self._prove, kept[0])

    def find(self, path: str, look: _Look, *, is_key: bool) -> Deferred[Found]:
        """Look up a path.

        :param look: looks it up in the database.
        :param is_key: whether it is looked up as a key.
        :return: a Deferred that fires with what is there.
        :raise CatalogAway: the database does not answer.
        """
        key = is_key, path
        kept = self._kept.find(key)
        if kept is None or not self._holds(kept[0]):
            return self._look(key, look)
        entry = kept[1]
        # If the database does not answer, the look says so.
        return self._prove(kept[0]).addCallback(lambda holds: entry if holds else self._look(key, look))

    def _stamp(self, group: int) -> _Stamp:
        return self._all, self._groups[group], group

    def _holds(self, stamp: _Stamp) -> bool:
        return stamp == self._stamp(stamp[2])

    def _look(self, key: tuple[bool, str], look: _Look) -> Deferred[Found]:
        stamp = self._stamp(group_of(place_of(key[1])))

        def found(entry: Found) -> Found:
            # What was changed after the stamp is told later, and the entry does not hold any more then.
            self._kept.keep(key, stamp, entry)
            return entry

        return look().addCallback(found)

    def _prove(self, stamp: _Stamp) -> Deferred[bool]:
        """Find out whether what was found at a stamp is still there; see `Prove`."""
        proof: Deferred[bool] = Deferred()
        if not self._waiting and not self._is_checking:
            self._soon(self._begin)
        self._waiting.append((stamp, proof))
        return proof

    def _begin(self) -> None:
        """Ask the database for news, for those who wait for a proof."""
        asking, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        self._is_checking = True
        self._check().addBoth(self._end, asking)

    def _end(self, news: News | Failure, asking: list[tuple[_Stamp, Deferred[bool]]]) -> None:
        is_told = not isinstance(news, Failure)
        if not self._waiting:
            self._is_checking = False
        elif is_told:
            self._begin()  # the database answers the next ones while these go on
        else:
            self._soon(self._begin)  # it may fail at once, and so would all the next ones, each within the one before
        for stamp, proof in asking:
            holds = is_told and self._holds(stamp)
            self.answered += holds
            proof.callback(holds)
