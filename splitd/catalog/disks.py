"""The disks of nodes in the journalled catalog."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from splitd.catalog.changes import Changes
from splitd.catalog.state import State
from splitd.interfaces.disks import IDisks
from splitd.model.records import DiskChecked


@implementer(IDisks)
class JournalledDisks:
    """The disks of nodes, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    """

    def __init__(self, state: State, changes: Changes) -> None:
        self._state = state
        self._changes = changes

    def checked_disks(self) -> Deferred[Mapping[str, str]]:
        """Return the disks that were checked; see `IDisks.checked_disks`."""
        return succeed(dict(self._state.disks))

    def disk_checked(self, node: str, disk: str) -> Deferred[None]:
        """Record that a disk was checked; see `IDisks.disk_checked`."""

        def judge() -> tuple[DiskChecked | None, None]:
            if self._state.disks.get(node) == disk:
                return None, None
            return DiskChecked(node, disk, self._changes.now_ms()), None

        return self._changes.make(judge, f"node {node}", durable=True)
