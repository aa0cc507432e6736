"""The parity of versions in the journalled catalog."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import implementer

from splitd.catalog.changes import Changes
from splitd.catalog.state import State
from splitd.errors import LayoutRefused
from splitd.interfaces.layouts import ILayouts
from splitd.model.records import LayoutChanged
from splitd.model.striping import MAX_PARITY


@implementer(ILayouts)
class JournalledLayouts:
    """The parity of versions, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    """

    def __init__(self, state: State, changes: Changes) -> None:
        self._state = state
        self._changes = changes

    def change_parity(self, upload: str, parity: int) -> Deferred[bool]:
        """Give a version more parity parts, or fewer; see `ILayouts.change_parity`."""
        if not 0 <= parity <= MAX_PARITY:
            raise ValueError(f"a version cannot have {parity} parity parts")

        def judge() -> tuple[LayoutChanged | None, bool]:
            version = self._state.version(upload)
            if version is None or not version.nodes or version.parity == parity:
                return None, False
            kept = version.nodes[: version.data + parity]
            if parity < version.parity and "" in kept:
                raise LayoutRefused(f"part {kept.index('')} of upload {upload} is missing: it must be rebuilt first")
            return LayoutChanged(upload, parity, self._changes.now_ms()), True

        return self._changes.make(judge, upload, durable=True)
