"""The journal's copy on a node: what fronts may do with it, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from storaged.disk.calls import DiskCalls, disk_error
from storaged.http import reason_of
from storaged.journals.copy import JournalCopy
from storaged.journals.epochs import Epochs
from storaged.parts.errors import BadRequest, NodeUnavailable, StoragedError
from storaged.parts.journals import Append, Claim, CopyState, Piece, Standing, Trim
from storaged.system.interfaces import IFilesystem
from storaged.system.serial import SerialThread

_T = TypeVar("_T")


class Session:
    """One connection's right to write the copy; the next `Journals.open` ends it."""

    def __init__(self, epoch: int, front: str, run: str) -> None:
        self.owner = (epoch, front, run)


class Journals:
    """The epoch and the copy of one node.

    All calls of the copy are made one after the other.  A claim takes effect between two of them: what an older front
    appended before it is part of the copy that the claim describes, and it appends nothing afterwards.

    :param folder: the folder for both.
    :param calls: write the epoch.
    :param thread: makes all calls of the copy; it is started and stopped here.
    """

    _log = Logger()

    def __init__(self, folder: str, filesystem: IFilesystem, calls: DiskCalls, thread: SerialThread) -> None:
        self._copy = JournalCopy(filesystem, folder)
        self._calls = calls
        self.epochs = Epochs(folder, filesystem, calls)
        self._thread = thread
        self._session: Session | None = None

    async def start(self) -> None:
        """Read the epoch.

        :raise NodeUnavailable: it cannot be read.
        """
        await self._calls.run("the epoch", self.epochs.load)
        self._thread.start()

    def stop(self) -> None:
        """End the writing of the copy, and close its files."""
        self._session = None
        self._thread.stop()
        self._copy.close()

    async def claim(self, claim: Claim, cluster: str) -> Standing:
        """Accept a claim; see `Epochs.claim`.

        :param cluster: the cluster of the node, for the answer.
        """
        standing = await self.epochs.claim(claim)
        copy = await self._run(self._copy.load) if claim.look else None
        return msgspec.structs.replace(standing, cluster=cluster, copy=copy)

    async def look(self, cluster: str, *, copy: bool) -> Standing:
        """Return what was accepted.

        :param cluster: the cluster of the node.
        :param copy: whether to describe the copy, too.
        """
        state = await self._run(self._copy.load) if copy else None
        return msgspec.structs.replace(self.epochs.standing, cluster=cluster, copy=state)

    async def open(self, epoch: int, front: str, run: str) -> tuple[Session, CopyState]:
        """Give a connection the right to write the copy, and take it from all others.

        :raise TakenOver: the front does not own the present epoch.
        """
        self.epochs.check_owner(epoch, front, run)
        session = self._session = Session(epoch, front, run)
        state = await self._run(self._copy.load)
        if state.damage:
            self._log.error("the copy of the journal is damaged: {damage}", damage=state.damage)
        return session, state

    def append(self, session: Session | None, requests: Sequence[Append]) -> Deferred[int]:
        """Append lines; see `JournalCopy.append`."""
        return self._write(session, lambda: self._copy.append(requests))

    def append_then(
        self, session: Session | None, request: Append, then: Callable[[int | StoragedError], object]
    ) -> None:
        """Append lines as `append` does, and tell only a function of it.

        :param then: called in the thread of the copy, with the number after that of the last record, or with the error.
        :raise StoragedError: this connection may not write the copy.
        """
        self._check(session)

        def work() -> None:
            outcome: int | StoragedError
            try:
                outcome = self._copy.append([request])
            except StoragedError as problem:
                outcome = problem
            except OSError as problem:
                outcome = _disk_error(problem)
            except Exception as problem:
                self._log.failure("an append to the copy of the journal")
                outcome = NodeUnavailable(reason_of(problem))
            then(outcome)

        self._thread.post(work)

    def tell(self, call: Callable[[], object]) -> None:
        """Make a call in the reactor's thread; for what `append_then` calls."""
        self._thread.tell(call)

    def trim(self, session: Session | None, request: Trim) -> Deferred[int]:
        """Drop records; see `JournalCopy.trim`."""
        return self._write(session, lambda: self._copy.trim(request.next))

    def take(self, session: Session | None, piece: Piece) -> Deferred[int]:
        """Take a piece of a snapshot; see `JournalCopy.take`."""
        return self._write(session, lambda: self._copy.take(piece))

    def read(self, first: int) -> Deferred[bytes]:
        """Read blocks; see `JournalCopy.read`."""
        return Deferred.fromCoroutine(self._read(lambda: self._copy.read(first)))

    def read_snapshot(self, offset: int) -> Deferred[bytes]:
        """Read bytes of the snapshot; see `JournalCopy.read_snapshot`."""
        return Deferred.fromCoroutine(self._read(lambda: self._copy.read_snapshot(offset)))

    async def _read(self, call: Callable[[], bytes]) -> bytes:
        await self._run(self._copy.load)
        return await self._run(call)

    def _write(self, session: Session | None, call: Callable[[], int]) -> Deferred[int]:
        self._check(session)
        return Deferred.fromCoroutine(self._run(call))

    def _check(self, session: Session | None) -> None:
        """Refuse a connection that may not write the copy."""
        if session is None:
            raise BadRequest("the copy was not opened")
        self.epochs.check_owner(*session.owner)
        if session is not self._session:
            raise BadRequest("a newer connection writes the copy")

    async def _run(self, call: Callable[[], _T]) -> _T:
        try:
            return await self._thread.run(call)
        except OSError as problem:
            raise _disk_error(problem) from problem


def _disk_error(problem: OSError) -> StoragedError:
    return disk_error("the copy of the journal", problem)


def journals_of(folder: str, filesystem: IFilesystem, pool: ThreadPool, reactor: IReactorFromThreads) -> Journals:
    """Make the epoch and the copy in a folder, with a thread of their own.

    :param pool: writes the epoch.
    """
    return Journals(folder, filesystem, DiskCalls(reactor, pool), SerialThread(reactor, "journal copy"))
