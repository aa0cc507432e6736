"""Where the columns of a version come from: a stream for each part that is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from splitd.downloads.streams import PartStream
from splitd.interfaces.nodes import INodeRegistry, IReadPolicy
from splitd.model.manifest import Manifest
from storaged.system.parallel import InThread
from storaged.system.ranges import Span


class Sources:
    """All that is needed to read parts of any version.

    :param policy: says which nodes to read from, and when an answer is late.
    :param clock: schedules calls.
    :param run: runs a computation in a thread.
    """

    def __init__(self, registry: INodeRegistry, policy: IReadPolicy, clock: Any, run: InThread) -> None:
        self.registry = registry
        self.policy = policy
        self.clock = clock
        self.run = run


class PartStreams:
    """The streams of the parts of one version.

    :param wanted: the stripes of which each column is wanted, by its index; its stream ends with them.
    :param stop: the number of the stripe after the last one that is read.
    """

    def __init__(self, manifest: Manifest, wanted: Mapping[int, range], stop: int, sources: Sources) -> None:
        self._manifest = manifest
        self._wanted = wanted
        self._stop = stop
        self._sources = sources
        self._streams: dict[int, PartStream] = {}
        self._brief: dict[int, PartStream] = {}  # of a stripe before those of the part's stream

    def at(self, index: int, stripe: int) -> PartStream:
        """Return a stream of a part whose next unit is the one of a stripe."""
        for streams in (self._streams, self._brief):
            stream = streams.get(index)
            if stream is not None and stream.position == stripe < stream.stop:
                return stream
        unit = self._manifest.unit
        stop = self._stop
        if index in self._wanted:
            stop = self._wanted[index].stop if stripe in self._wanted[index] else stripe + 1
        span = Span(stripe * unit, min(stop * unit, self._manifest.part_size(index)))
        fresh = PartStream(self._manifest, index, span, self._sources.registry)
        self._sources.policy.asked(1)
        older = self._streams.get(index)
        streams = self._streams if older is None or older.position < stripe or older.stop <= stripe else self._brief
        if index in streams:
            streams[index].close()
        streams[index] = fresh
        return fresh

    def drop(self, indexes: Collection[int]) -> None:
        """Close the streams of some parts."""
        for streams in (self._streams, self._brief):
            for index in streams.keys() & set(indexes):
                streams.pop(index).close()

    def keep(self, indexes: Collection[int]) -> None:
        """Close the streams of all other parts."""
        self.drop((self._streams.keys() | self._brief.keys()) - set(indexes))

    def close(self) -> None:
        """Close all streams."""
        self.keep(())
