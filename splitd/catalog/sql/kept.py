"""Look-ups that a front keeps, and believes once the database has said that nothing has changed there."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from splitd.catalog.sql.stamps import News
from splitd.catalog.stamped import Found, StampedLooks
from splitd.catalog.touched import GROUPS, group_of
from splitd.model.paths import place_of

_Look = Callable[[], Deferred[Found]]


class KeptLooks:
    """Looks up paths, or finds out that what was found before is still there.

    The database is asked after each call, for all calls together that came meanwhile, which groups of paths any
    connection has touched since.  So a look-up finds every change that anybody on any front was told of before it
    began, and reads a few small rows in place of those of its path.

    :param check: asks the database for news; fires when all that was committed before the call was told to `tell`.
    :ivar answered: how many look-ups were answered by what was kept.
    """

    def __init__(self, check: Callable[[], Deferred[News]]) -> None:
        self._check = check
        self._all = 0
        self._groups = [0] * GROUPS
        self._kept: StampedLooks[tuple[bool, str], tuple[int, int]] = StampedLooks()
        self.answered = 0

    def tell(self, news: News) -> None:
        """Take in what has been touched; once, however many have asked."""
        if news.told:
            return
        news.told = True
        if news.groups is None:
            self._all += 1
        else:
            for group in news.groups:
                self._groups[group] += 1

    def find(self, path: str, look: _Look, *, is_key: bool) -> Deferred[Found]:
        """Look up a path.

        :param look: looks it up in the database.
        :param is_key: whether it is looked up as a key.
        :return: a Deferred that fires with what is there.
        :raise CatalogAway: the database does not answer.
        """
        key, group = (is_key, path), group_of(place_of(path))
        kept = self._kept.find(key)
        if kept is None or kept[0] != (self._all, self._groups[group]):
            return self._look(key, group, look)
        stamp, entry = kept

        def checked(_: News) -> Found | Deferred[Found]:
            if stamp != (self._all, self._groups[group]):
                return self._look(key, group, look)
            self.answered += 1
            return entry

        return self._check().addCallback(checked)

    def _look(self, key: tuple[bool, str], group: int, look: _Look) -> Deferred[Found]:
        stamp = self._all, self._groups[group]

        def found(entry: Found) -> Found:
            # What was changed after the stamp is told later, and the entry does not hold any more then.
            self._kept.keep(key, stamp, entry)
            return entry

        return look().addCallback(found)
