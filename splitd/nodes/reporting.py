"""A wrapper of a node's part store that reports to the registry when the node fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.parts.errors import AccessDenied, NodeUnavailable, NoSpace, StoragedError, WrongNode
from storaged.parts.interfaces import INodeStore, IPartReader, IPartWriter
from storaged.parts.values import NodeInfo, PartInfo, PartLook, RottenPart, Scrub
from storaged.system.buffers import Piece
from storaged.system.ranges import Span

_Result = TypeVar("_Result")

_FAULTS = (NodeUnavailable, NoSpace, AccessDenied, WrongNode)
"""The errors of a node as a whole; all others concern one part or one request, or are this process's own."""

Report = Callable[[StoragedError], object]


def _reporting(result: Deferred[_Result], report: Report) -> Deferred[_Result]:
    """Report a failure of the node before the Deferred's next callback learns of it; return the same Deferred."""
    return result.addErrback(_report_failure, report)


def _report_failure(failure: Failure, report: Report) -> Failure:
    if isinstance(failure.value, _FAULTS):
        report(failure.value)
    return failure


def _reporting_all(
    results: Deferred[list[_Result | StoragedError]], report: Report
) -> Deferred[list[_Result | StoragedError]]:
    """Do as `_reporting` does, and also report the first failure of the node among the outcomes of several parts."""
    return results.addCallbacks(_report_first, _report_failure, callbackArgs=(report,), errbackArgs=(report,))


def _report_first(outcomes: list[_Result | StoragedError], report: Report) -> list[_Result | StoragedError]:
    for outcome in outcomes:
        if isinstance(outcome, _FAULTS):
            report(outcome)
            break
    return outcomes


@implementer(INodeStore)
class ReportingStore:
    """The part store of one node.  Each method calls the method of the wrapped store.

    :param report: called with each `NodeUnavailable`, `NoSpace`, `AccessDenied` and `WrongNode`, before the caller
        learns of it.
    """

    def __init__(self, store: INodeStore, report: Report) -> None:
        self._store = store
        self._report = report

    def create(self, part_id: str, stored_size: int | None) -> Deferred[IPartWriter]:
        """Begin a part; see `IPartStore.create`."""
        created: Deferred[IPartWriter] = self._store.create(part_id, stored_size)
        return _reporting(created, self._report).addCallback(_ReportingWriter, self._report)

    def open(self, part_id: str, span: Span | None) -> Deferred[IPartReader]:
        """Read a part; see `IPartStore.open`."""
        opened: Deferred[IPartReader] = self._store.open(part_id, span)
        return _reporting(opened, self._report).addCallback(_ReportingReader, self._report)

    def stat(self, part_id: str) -> Deferred[PartInfo]:
        """Look at a part; see `IPartStore.stat`."""
        return _reporting(self._store.stat(part_id), self._report)

    def remove(self, part_id: str) -> Deferred[bool]:
        """Delete a part; see `IPartStore.remove`."""
        return _reporting(self._store.remove(part_id), self._report)

    def trash(self, part_id: str) -> Deferred[bool]:
        """Move a part to the trash; see `IPartStore.trash`."""
        return _reporting(self._store.trash(part_id), self._report)

    def list_parts(self, after: str, limit: int) -> Deferred[list[PartInfo]]:
        """List parts; see `IPartStore.list_parts`."""
        return _reporting(self._store.list_parts(after, limit), self._report)

    def info(self) -> Deferred[NodeInfo]:
        """Ask the node for its status; see `IPartStore.info`."""
        return _reporting(self._store.info(), self._report)

    def look_all(self, part_ids: Sequence[str]) -> Deferred[list[PartLook | StoragedError]]:
        """Look at parts; see `IPartChecks.look_all`."""
        return _reporting_all(self._store.look_all(part_ids), self._report)

    def rotten(self, after: str, limit: int) -> Deferred[list[RottenPart]]:
        """List the rotten parts; see `IPartChecks.rotten`."""
        return _reporting(self._store.rotten(after, limit), self._report)

    def pause_scrub(self, *, paused: bool) -> Deferred[Scrub]:
        """Pause the scrub, or resume it; see `IPartChecks.pause_scrub`.  One that is too old has not failed."""
        paused_scrub: Deferred[Scrub] = self._store.pause_scrub(paused=paused)
        return paused_scrub

    def put_all(self, parts: Sequence[tuple[str, bytes]]) -> Deferred[list[PartInfo | StoragedError]]:
        """Store small parts; see `ISmallPartStore.put_all`."""
        return _reporting_all(self._store.put_all(parts), self._report)

    def get_all(self, part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        """Read small parts; see `ISmallPartStore.get_all`."""
        return _reporting_all(self._store.get_all(part_ids), self._report)

    def remove_all(self, part_ids: Sequence[str]) -> Deferred[list[bool | StoragedError]]:
        """Delete parts; see `ISmallPartStore.remove_all`."""
        return _reporting_all(self._store.remove_all(part_ids), self._report)


@implementer(IPartWriter)
class _ReportingWriter:
    def __init__(self, writer: IPartWriter, report: Report) -> None:
        self._writer = writer
        self._report = report
        writer.when_broken().addCallback(self._broke)

    def _broke(self, problem: Exception) -> None:
        if isinstance(problem, _FAULTS):
            self._report(problem)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._writer.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._writer.unregisterProducer()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def writeSequence(self, pieces: Sequence[Piece]) -> None:
        self._writer.writeSequence(pieces)

    def when_broken(self) -> Deferred[Exception]:
        return self._writer.when_broken()

    def finish(self) -> Deferred[PartInfo]:
        return _reporting(self._writer.finish(), self._report)

    def abort(self) -> Deferred[None]:
        return self._writer.abort()


@implementer(IPartReader)
class _ReportingReader:
    def __init__(self, reader: IPartReader, report: Report) -> None:
        self._reader = reader
        self._report = report
        self.stored_size: int = reader.stored_size

    def read(self) -> Deferred[bytes]:
        return _reporting(self._reader.read(), self._report)

    def close(self) -> None:
        self._reader.close()

    def descriptor(self) -> tuple[int, Span] | None:
        return self._reader.descriptor()
