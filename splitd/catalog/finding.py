"""Looks up versions in the journalled catalog."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, execute
from zope.interface import implementer

from splitd.catalog.state import State
from splitd.interfaces.versions import IVersions
from splitd.model.manifest import Manifest


@implementer(IVersions)
class JournalledVersions:
    """The versions that the journal's records result in."""

    def __init__(self, state: State) -> None:
        self._state = state

    def find_all(self, uploads: Sequence[str]) -> Deferred[list[Manifest | None]]:
        """Look up versions; see `IVersions.find_all`."""
        return execute(lambda: [self._state.version(upload) for upload in uploads])
