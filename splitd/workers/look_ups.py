"""Look-ups that a worker remembers, and believes as long as nothing has changed."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from splitd.catalog.stamped import Found, StampedLooks
from splitd.interfaces.catalog import Prove
from splitd.model.manifest import Manifest
from splitd.workers.calls import Calls
from splitd.workers.counters import Counters, Stamp
from splitd.workers.methods import FIND_KEY, LOOKUP, Method


class LookUps:
    """Looks up paths and keys in the catalog's process, unless what was found before must still be there.

    A look-up that is answered from here finds every change that anybody was told of before it began: the counters are
    raised before that.

    :ivar remembered: how many look-ups were answered without a call.
    """

    def __init__(self, calls: Calls, counters: Counters) -> None:
        self._call = calls.call
        self._stamp = counters.stamp
        self._known: StampedLooks[tuple[int, str], Stamp] = StampedLooks()
        self.remembered = 0

    def lookup(self, path: str) -> Deferred[Found]:
        """Look up a path; see `ICatalog.lookup`."""
        return self._find(LOOKUP, path)

    def known_file(self, path: str) -> tuple[Manifest, Prove | None] | None:
        """Return a file that is remembered; see `ICatalog.known_file`."""
        before = self._known.find((LOOKUP.number, path))
        if before is None or not isinstance(before[1], Manifest) or before[0] != self._stamp(path):
            return None
        self.remembered += 1
        return before[1], None

    def find_key(self, path: str) -> Deferred[Found]:
        """Look up a key; see `IKeys.find_key`."""
        return self._find(FIND_KEY, path)

    def _find(self, method: Method[Found], path: str) -> Deferred[Found]:
        key = method.number, path
        now, before = self._stamp(path), self._known.find(key)
        if before is not None and before[0] == now:
            self.remembered += 1
            return succeed(before[1])

        def found(entry: Found) -> Found:
            # What changes while the call is on its way raises the counters above `now`.
            self._known.keep(key, now, entry)
            return entry

        return self._call(method, path).addCallback(found)
