"""Pins of a worker: what it reads is kept by the reaper of the catalog's process."""

from __future__ import annotations

from collections import Counter

from twisted.internet.defer import Deferred

from splitd.downloads.pins import Pins
from splitd.model.manifest import Manifest
from splitd.upkeep.reaper import Reaper
from splitd.workers import methods
from splitd.workers.calls import Calls


class RemotePins:
    """The pins as a worker has them.  After the connection was lost they are set again."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._pinned: Counter[Manifest] = Counter()

    def pin(self, manifest: Manifest) -> Deferred[None]:
        """Keep the parts of a version in place; see `Pins.pin`.

        :raise CatalogAway: the catalog's process does not answer, so nobody keeps them.
        """
        self._pinned[manifest] += 1
        return self._calls.call(methods.PIN, manifest)

    def unpin(self, manifest: Manifest) -> bool:
        """Release one `pin`.

        :return: False: the catalog's process learns of it, and does what is to be done.
        """
        self._pinned[manifest] -= 1
        if not self._pinned[manifest]:
            del self._pinned[manifest]
        self._calls.tell(methods.UNPIN, manifest)
        return False

    def again(self) -> None:
        """Set all pins, on a new connection."""
        for manifest, count in self._pinned.items():
            for _ in range(count):
                self._calls.call(methods.PIN, manifest).addErrback(lambda _: None)


class OwnedPins:
    """The pins of one worker, as the catalog's process has them."""

    def __init__(self, pins: Pins, reaper: Reaper) -> None:
        self._pins = pins
        self._reaper = reaper
        self._pinned: Counter[Manifest] = Counter()

    def pin(self, manifest: Manifest) -> Deferred[None]:
        """Keep the parts of a version in place."""
        self._pinned[manifest] += 1
        return self._pins.pin(manifest)

    def unpin(self, manifest: Manifest) -> None:
        """Release one `pin`; one that was not set on this connection does not count."""
        if not self._pinned[manifest]:
            del self._pinned[manifest]
            return
        self._pinned[manifest] -= 1
        if self._pins.unpin(manifest):
            self._reaper.unpinned(manifest)

    def end(self) -> None:
        """Release all, because the worker is gone."""
        for manifest, count in list(self._pinned.items()):
            for _ in range(count):
                self.unpin(manifest)
