"""Whole stripes of a version, from whichever parts can be read: columns that are lost are rebuilt from the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from splitd.downloads.streams import PartStream
from splitd.downloads.survivors import Survivors
from splitd.model.erasure import code_of
from splitd.model.manifest import Manifest
from splitd.model.striping import column_size
from storaged.system.parallel import InThread
from storaged.system.ranges import Span


def rebuild_columns(
    manifest: Manifest, stripe: int, columns: Mapping[int, bytes], run: InThread
) -> Awaitable[dict[int, bytes]]:
    """Rebuild the data columns of a stripe that are missing.

    :param columns: `data` columns of the stripe, by their indexes.
    :param run: runs the computation in a thread.
    :return: the missing data columns by their indexes.
    """
    layout = manifest.layout
    size = min(layout.stripe, manifest.size - stripe * layout.stripe)
    lengths = {index: column_size(layout.data, size, index) for index in range(layout.data) if index not in columns}
    code, length = code_of(layout.data, layout.parity), column_size(layout.data, size, 0)

    def work() -> dict[int, bytes]:
        rebuilt = code.rebuild(columns, length, lengths)
        return {index: rebuilt[index][:each] for index, each in lengths.items()}

    return run(work)


class StripeReader:
    """Some stripes of a version, one after the other.  A part that fails is replaced where it failed.

    :param first: the number of the first stripe.
    :param stop: the number of the stripe after the last one.
    :param make_stream: makes the stream of a span of a part, not opened yet.
    :param run: runs a computation in a thread.
    """

    def __init__(
        self,
        manifest: Manifest,
        first: int,
        stop: int,
        survivors: Survivors,
        make_stream: Callable[[int, Span], PartStream],
        run: InThread,
    ) -> None:
        self._manifest = manifest
        self._next = first
        self._stop = stop
        self._survivors = survivors
        self._make_stream = make_stream
        self._run = run
        self._streams: dict[int, PartStream] = {}

    async def read(self) -> list[bytes]:
        """Read the next stripe.

        :return: its data columns.
        :raise FileUnavailable, FileDamaged: too few parts can be read.
        """
        stripe = self._next
        columns = {index: b"" for index in range(self._manifest.data) if not self._unit_size(stripe, index)}
        while len(columns) < self._manifest.data:
            await self._open_missing(stripe, set(columns))
            # In a short stripe, columns that have no byte take the place of others.
            waiting = sorted(self._streams.keys() - columns.keys())[: self._manifest.data - len(columns)]
            units = await self._try_all({index: self._streams[index].next_unit() for index in waiting})
            columns.update((index, b"".join(pieces)) for index, pieces in units.items())
        self._next += 1
        if any(index not in columns for index in range(self._manifest.data)):
            columns.update(await rebuild_columns(self._manifest, stripe, columns, self._run))
        return [columns[index] for index in range(self._manifest.data)]

    async def _open_missing(self, stripe: int, given: set[int]) -> None:
        """Open streams, until there are enough for a stripe."""
        while (missing := self._manifest.data - len(given | self._streams.keys())) > 0:
            chosen = self._survivors.choose(missing, given | self._streams.keys())
            streams = {index: self._make_stream(index, self._span(stripe, index)) for index in chosen}
            self._streams.update(streams)
            await self._try_all({index: stream.open() for index, stream in streams.items()})

    async def _try_all(self, work: Mapping[int, Coroutine[Any, Any, Any]]) -> dict[int, Any]:
        """Do something with several streams; a stream that fails is closed, and its part is lost."""
        done = await self._survivors.try_all(work)
        for index in work.keys() - done.keys():
            self._streams.pop(index).close()
        return done

    def _span(self, stripe: int, index: int) -> Span:
        unit = self._manifest.unit
        return Span(stripe * unit, min(self._stop * unit, self._manifest.part_size(index)))

    def _unit_size(self, stripe: int, index: int) -> int:
        return min(self._manifest.unit, max(0, self._manifest.part_size(index) - stripe * self._manifest.unit))

    def close(self) -> None:
        """Read no more."""
        for stream in self._streams.values():
            stream.close()
