"""The uploads of one worker: at its own end of the socket, and at that of the catalog, which ends them if it dies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.errors import CatalogReadOnly, CatalogSuspended
from splitd.interfaces.uploads import Commit, IUploadLedger, Start
from splitd.workers import methods
from splitd.workers.calls import Calls
from storaged.parts.format import PartId
from storaged.system.parallel import settled

_Result = TypeVar("_Result")


@implementer(IUploadLedger)
class SocketLedger:
    """The ledger as a worker has it."""

    def __init__(self, calls: Calls) -> None:
        self._call = calls.call

    def begin_all(self, starts: Sequence[Start]) -> Deferred[None]:
        """Record that uploads begin; see `IUploadLedger`."""
        return self._call(methods.BEGIN_ALL, starts)

    def commit_all(self, commits: Sequence[Commit]) -> Sequence[Deferred[bool]]:
        """Commit some uploads; see `IUploadLedger`."""
        return [self._call(methods.COMMIT, commit) for commit in commits]

    def abort(self, upload: str, reason: str) -> Deferred[None]:
        """End an upload that will not be committed; see `IUploadLedger`.

        The text may be anything; what no message can carry is replaced.
        """
        return self._call(methods.ABORT, upload, reason.encode("utf-8", "replace").decode())

    def abort_abandoned(self) -> Deferred[int]:
        """Abort the uploads and moves of fronts that are gone; see `IUploadLedger`."""
        return self._call(methods.ABORT_ABANDONED)

    def orphans(self, node: str, parts: Sequence[PartId]) -> Deferred[list[PartId]]:
        """Choose the orphans among parts of a node; see `IUploadLedger`."""
        return self._call(methods.ORPHANS, node, parts)


@implementer(IUploadLedger)
class OwnedLedger:
    """The ledger as the catalog's process serves it to one worker, whose uploads under way it remembers.

    :param ledger: the catalog's.
    """

    _log = Logger()

    def __init__(self, ledger: IUploadLedger) -> None:
        self._ledger = ledger
        self._under_way: set[str] = set()

    def begin_all(self, starts: Sequence[Start]) -> Deferred[None]:
        """Record that uploads begin; see `IUploadLedger`."""
        self._under_way.update(start.upload for start in starts)
        return self._ledger.begin_all(starts)

    def commit_all(self, commits: Sequence[Commit]) -> list[Deferred[bool]]:
        """Commit some uploads; see `IUploadLedger`."""
        made = self._ledger.commit_all(commits)
        return [
            each.addCallback(self._ended, commit.manifest.upload) for each, commit in zip(made, commits, strict=True)
        ]

    def abort(self, upload: str, reason: str) -> Deferred[None]:
        """End an upload; see `IUploadLedger`."""

        def failed(failure: Failure) -> Failure:
            if failure.check(CatalogSuspended):
                self._under_way.discard(upload)  # the catalog's own ledger repeats it
            return failure

        # One that is cancelled while it waits for its turn, because the worker has ended, is made by `end`.
        return self._ledger.abort(upload, reason).addCallbacks(self._ended, failed, callbackArgs=(upload,))

    def abort_abandoned(self) -> Deferred[int]:
        """Abort the uploads and moves of fronts that are gone; see `IUploadLedger`."""
        return self._ledger.abort_abandoned()

    def orphans(self, node: str, parts: Sequence[PartId]) -> Deferred[list[PartId]]:
        """Choose the orphans among parts of a node; see `IUploadLedger`."""
        return self._ledger.orphans(node, parts)

    def _ended(self, result: _Result, upload: str) -> _Result:
        self._under_way.discard(upload)
        return result

    async def end(self) -> int:
        """Abort what is under way, because the worker is gone.

        :return: how many uploads that were.
        """
        uploads, self._under_way = self._under_way, set()
        aborted = [self._ledger.abort(each, "the worker that took it has ended") for each in sorted(uploads)]
        for each in aborted:
            each.addErrback(self._not_aborted)
        await settled(aborted)
        return len(uploads)

    def _not_aborted(self, failure: Failure) -> None:
        if not failure.check(CatalogReadOnly):  # then a later try, or the next start aborts it
            self._log.failure("aborting an upload of a worker that has ended", failure)
