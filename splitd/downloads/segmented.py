"""Downloads of files with segments: the downloads of the segments, one after the other, the next ones opened ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from splitd.errors import SplitdError
from splitd.interfaces.store import IDownload
from splitd.model.manifest import Manifest
from splitd.model.traffic import Traffic
from storaged.system.buffers import Piece
from storaged.system.once import Once
from storaged.system.ranges import Span

_AHEAD_BYTES = 8 * 1024 * 1024
"""The next segment is opened when less than this is left of those that are open: its first bytes arrive in the time in
which these are read, and no connection waits for long while a client is slow.
"""

_MOST_AHEAD = 4
"""The most segments that are open at the same time, each with the buffers of a download."""


class _Opening:
    """A segment that is being opened, or is open."""

    def __init__(self, opening: Deferred[IDownload], size: int) -> None:
        self.left = size
        self._opening = opening
        self._opened: Once[IDownload] = Once()
        self._download: IDownload | None = None
        self._closed = False
        opening.addCallbacks(self._open, self._opened.fire)

    def _open(self, download: IDownload) -> None:
        if self._closed:
            download.close()
            return
        self._download = download
        self._opened.fire(download)

    def wait(self) -> Deferred[IDownload]:
        """Wait until it is open."""
        return self._opened.wait()

    def close(self) -> None:
        """Read no more, or do not open it."""
        self._closed = True
        if self._download is not None:
            self._download.close()
        else:
            self._opening.cancel()


@implementer(IDownload)
class SegmentedDownload:
    """A range of a file with segments.

    :param places: the segments that have a byte of the range, in order, each with its part of the range.
    :param open_segment: opens a range of a segment.
    :param inner: counts what the downloads of the segments do; they are one download for the operator.
    :param closed: called once, when nothing is read any more.
    """

    def __init__(
        self,
        places: Sequence[tuple[Manifest, Span]],
        open_segment: Callable[[Manifest, Span], Deferred[IDownload]],
        traffic: Traffic,
        inner: Traffic,
        closed: Callable[[], None],
    ) -> None:
        self._places = deque(places)
        self._open_segment = open_segment
        self._traffic = traffic
        self._inner = inner
        self._closed: Callable[[], None] | None = closed
        self._open: deque[_Opening] = deque()
        self._began = False
        self._failed = False
        self._degraded = False

    async def open(self) -> None:
        """Open the first segments; may raise what the opening of a segment raises."""
        try:
            self._look_ahead()
            if self._open:
                await self._open[0].wait()
        except BaseException:
            self.close()
            raise
        self._began = True
        self._traffic.download_began()
        self._count(())

    def _look_ahead(self) -> None:
        while self._places and len(self._open) < _MOST_AHEAD:
            if sum(each.left for each in self._open) >= _AHEAD_BYTES:
                return
            manifest, span = self._places.popleft()
            self._open.append(_Opening(self._open_segment(manifest, span), len(span)))

    def read(self) -> Deferred[Sequence[Piece]]:
        """Read on; see `IDownload.read`."""
        return Deferred.fromCoroutine(self._read())

    async def _read(self) -> Sequence[Piece]:
        try:
            while self._open:
                first = self._open[0]
                pieces = await (await first.wait()).read()
                self._count(pieces)
                if pieces:
                    first.left -= sum(map(len, pieces))
                    self._look_ahead()
                    return pieces
                first.close()
                self._open.popleft()
                self._look_ahead()
        except SplitdError:
            self._failed = True
            raise
        return []

    def _count(self, pieces: Sequence[Piece]) -> None:
        self._traffic.bytes_out += sum(map(len, pieces))
        if self._inner.downloads_degraded and not self._degraded:
            self._degraded = True
            self._traffic.downloads_degraded += 1

    def close(self) -> None:
        """Read no more; see `IDownload.close`."""
        closed, self._closed = self._closed, None
        if closed is None:
            return
        self._places.clear()
        for each in self._open:
            each.close()
        if self._began:
            self._traffic.download_ended(failed=self._failed)
        closed()
