"""Files with segments in a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from splitd.interfaces.continued import IContinuedUploads
from splitd.interfaces.store import IUpload
from splitd.model.conditions import ALWAYS
from splitd.model.manifest import Manifest
from splitd.model.media import NO_MEDIA
from tests.cluster.cluster import Cluster


class Producer:
    """Sends bytes when it may: what an upload's producer does, and nothing more."""

    def pauseProducing(self) -> None:
        """The bytes are in memory, so nothing has to pause."""

    def resumeProducing(self) -> None:
        """Nothing has paused."""

    def stopProducing(self) -> None:
        """Nothing has to stop."""


def continued(cluster: Cluster) -> IContinuedUploads:
    assert cluster.front is not None
    return cluster.front.store.continued


def feed(upload: IUpload, data: bytes) -> None:
    """Write all bytes of a segment."""
    upload.registerProducer(Producer(), True)
    for start in range(0, len(data), 100_000):
        upload.write(data[start : start + 100_000])
    upload.unregisterProducer()


async def put_segment(
    cluster: Cluster, path: str, upload: str, number: int, data: bytes, *, known: bool = True, note: str = ""
) -> str:
    """Upload a segment, and return its id."""
    segment = await continued(cluster).put_segment(path, upload, number, len(data) if known else None)
    feed(segment, data)
    manifest, _ = await segment.finish(note)
    return manifest.upload


async def put_file(cluster: Cluster, path: str, segments: Sequence[bytes], *, known: bool = True) -> Manifest:
    """Make a file of segments."""
    begun = await continued(cluster).begin(path, NO_MEDIA, ALWAYS)
    chosen = [
        (number, await put_segment(cluster, path, begun.upload, number, data, known=known))
        for number, data in enumerate(segments, 1)
    ]
    manifest, _ = await continued(cluster).complete(path, begun.upload, chosen, ALWAYS)
    return manifest
