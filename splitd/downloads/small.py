"""Downloads of small files, whose parts arrive whole, are checked, and are joined in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from splitd.downloads.race import Race
from splitd.downloads.sources import Sources
from splitd.downloads.streams import explain_failure
from splitd.downloads.stripes import rebuild_columns
from splitd.downloads.survivors import Found, Survivors
from splitd.errors import FileUnavailable
from splitd.interfaces.nodes import Wait
from splitd.interfaces.store import IDownload
from splitd.model.manifest import Manifest
from splitd.model.striping import columns, part_size
from splitd.model.traffic import Traffic
from storaged.parts.decoding import decode_part
from storaged.parts.errors import StoragedError
from storaged.system.buffers import Piece
from storaged.system.parallel import InThread
from storaged.system.ranges import Span

MOST_AT_ONCE = 256 * 1024
"""The most bytes that one `read` returns: after them the client can pause the download."""


async def read_small(manifest: Manifest, sources: Sources, traffic: Traffic, found: Found) -> bytes:
    """Read all bytes of a small file, every unit checked.  Parts that fail or are late are replaced by parity parts.

    :param found: called for each part that is missing or damaged on its node.
    :raise FileUnavailable: too many nodes cannot be read.
    :raise FileDamaged: too many parts are damaged or lost.
    """
    survivors = Survivors(manifest, sources.policy, found)
    survivors.check()
    filled = min(manifest.data, manifest.size)  # the data parts that have a byte
    empty = set(range(filled, manifest.data))
    layout = manifest.layout

    def ask(index: int) -> Deferred[bytes]:
        try:
            store = sources.registry.store(manifest.nodes[index])
        except FileUnavailable as problem:
            return fail(problem)
        size = part_size(layout, manifest.size, index)
        return store.get_all([f"{manifest.upload}.{index}"]).addCallback(_decode, manifest, index, size)

    def choose(count: int, given: set[int]) -> list[int]:
        return survivors.choose(count, given | empty)

    race: Race[bytes] = Race(manifest, survivors, ask, lambda _: Wait.SMALL_PART, sources.policy, sources.clock)
    sources.policy.asked(filled)
    await race.run(choose(filled, set()), range(filled), filled, choose)
    payloads = race.answers
    if any(index not in payloads for index in range(filled)):
        traffic.downloads_degraded += 1
        payloads = {index: payloads[index] for index in sorted(payloads)[:filled]}
        payloads = await _rebuild(manifest, {**payloads, **dict.fromkeys(empty, b"")}, sources.run)
    if manifest.size <= layout.stripe:
        return b"".join([payloads[index] for index in range(filled)])
    return b"".join(
        payloads[column.index][column.span.start : column.span.stop]
        for column in columns(layout, manifest.size, Span(0, manifest.size))
    )


async def _rebuild(manifest: Manifest, payloads: Mapping[int, bytes], run: InThread) -> dict[int, bytes]:
    """Add the payloads of the data parts that are missing."""
    unit, rebuilt = manifest.unit, []
    missing = [index for index in range(manifest.data) if index not in payloads]
    for stripe in range(-(-manifest.size // manifest.layout.stripe)):
        given = {index: [payload[stripe * unit : (stripe + 1) * unit]] for index, payload in payloads.items()}
        rebuilt.append(await rebuild_columns(manifest, stripe, given, missing, run))
    added = {index: b"".join([piece for columns in rebuilt for piece in columns[index]]) for index in missing}
    return {**payloads, **added}


def _decode(outcomes: Sequence[bytes | StoragedError], manifest: Manifest, index: int, size: int) -> bytes:
    [data] = outcomes
    try:
        if isinstance(data, StoragedError):
            raise data
        return decode_part(manifest.part(index), manifest.unit, size, data)
    except StoragedError as problem:
        raise explain_failure(manifest, index, problem) from problem


@implementer(IDownload)
class SmallDownload:
    """A range of a file that is in memory.

    :param closed: called once, when the memory is not needed any more.
    """

    def __init__(self, data: bytes, span: Span, traffic: Traffic, closed: Callable[[], None]) -> None:
        self._data = data
        self._position = span.start
        self._stop = span.stop
        self._traffic = traffic
        self._closed: Callable[[], None] | None = closed
        traffic.download_began()

    def read(self) -> Deferred[Sequence[Piece]]:
        """Read on; see `IDownload.read`."""
        start, stop = self._position, min(self._position + MOST_AT_ONCE, self._stop)
        if start == stop:
            return succeed([])
        self._position = stop
        self._traffic.bytes_out += stop - start
        # A slice of all bytes is the same object, not a copy.
        return succeed([self._data[start:stop]])

    def close(self) -> None:
        """Read no more; see `IDownload.close`."""
        closed, self._closed = self._closed, None
        if closed is not None:
            self._traffic.download_ended(failed=False)
            self._data = b""
            self._position = self._stop
            closed()
