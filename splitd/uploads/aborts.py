"""Aborts of uploads that the catalog refuses only for now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.errors import CatalogReadOnly, CatalogSuspended
from splitd.interfaces.uploads import Commit, IUploadLedger, Start
from storaged.parts.format import PartId
from storaged.system.parallel import settled

_AGAIN_S = 1.0


@implementer(IUploadLedger)
class LaterAborts:
    """A ledger of uploads that repeats an abort which failed with `CatalogSuspended`, until the catalog takes it.

    Without that the upload would be under way, and its parts would keep their space, until a restart.

    :param ledger: the ledger of the catalog, which is given all calls.
    :param aborted: called after an abort was repeated: its parts are doomed now.
    :param clock: calls later.
    """

    _log = Logger()

    def __init__(self, ledger: IUploadLedger, aborted: Callable[[], object], clock: IReactorTime) -> None:
        self._ledger = ledger
        self._aborted = aborted
        self._clock = clock
        self._pending: dict[str, str] = {}  # uploads, and the reasons for their ends
        self._later: IDelayedCall | None = None
        self._trying: Deferred[None] | None = None
        self._stopped = False

    def stop(self) -> Deferred[None]:
        """Repeat no more aborts: the next start aborts what is under way.

        :return: a Deferred that fires with None when none is in progress.
        """
        self._stopped = True
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._trying is None:
            return settled([])
        ended = settled([self._trying])
        self._trying.cancel()
        return ended

    def begin_all(self, starts: Sequence[Start]) -> Deferred[None]:
        """Record that uploads begin; see `IUploadLedger.begin_all`."""
        return self._ledger.begin_all(starts)

    def commit_all(self, commits: Sequence[Commit]) -> Sequence[Deferred[bool]]:
        """Commit some uploads; see `IUploadLedger.commit_all`."""
        return self._ledger.commit_all(commits)

    def abort(self, upload: str, reason: str) -> Deferred[None]:
        """End an upload that will not be committed; see `IUploadLedger.abort`.

        :raise CatalogSuspended: nothing can be changed just now.  The abort is repeated.
        """

        def failed(failure: Failure) -> Failure:
            if failure.check(CatalogSuspended):
                self._pending[upload] = reason
                self._try_later()
            return failure

        return self._ledger.abort(upload, reason).addErrback(failed)

    def _try_later(self) -> None:
        if self._pending and self._later is None and self._trying is None and not self._stopped:
            self._later = self._clock.callLater(_AGAIN_S, self._begin)

    def _begin(self) -> None:
        self._later = None
        self._trying = Deferred.fromCoroutine(self._try())
        self._trying.addErrback(self._failed)
        self._trying.addCallback(self._ended)

    async def _try(self) -> None:
        for upload, reason in list(self._pending.items()):
            try:
                await self._ledger.abort(upload, reason)
            except CatalogSuspended:
                return  # nor could the others be aborted
            except CatalogReadOnly:
                self._pending.clear()  # the journal has failed: the next start aborts them
                return
            del self._pending[upload]
            self._log.info("upload {upload} aborted, as soon as that was possible: {reason}",
                           upload=upload, reason=reason)  # fmt: skip
            self._aborted()

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("aborting uploads", failure)

    def _ended(self, _: None) -> None:
        self._trying = None
        self._try_later()

    def abort_abandoned(self) -> Deferred[int]:
        """Abort the uploads and moves of fronts that are gone; see `IUploadLedger.abort_abandoned`."""
        return self._ledger.abort_abandoned()

    def orphans(self, node: str, parts: Sequence[PartId]) -> Deferred[list[PartId]]:
        """Choose the orphans among parts of a node; see `IUploadLedger.orphans`."""
        return self._ledger.orphans(node, parts)
