"""Finds the segments of files, with the nodes where their parts lie now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

from twisted.internet.task import deferLater

from splitd.downloads.streams import PartLost
from splitd.interfaces.versions import IVersions
from splitd.model.manifest import Manifest
from splitd.model.segments import SegmentRef
from storaged.system.ranges import Span

_PAGE = 256


class Segmentation:
    """Looks up segments in the catalog.

    :param clock: calls later.
    """

    def __init__(self, versions: IVersions, clock: Any) -> None:
        self._versions = versions
        self._clock = clock

    async def find(self, manifest: Manifest, span: Span) -> list[tuple[Manifest, Span]]:
        """Return the segments that have a byte of a range of a file, in order, each with its part of the range.

        Other work has a turn after each page of them.

        :raise PartLost: the file was deleted, so that one of its segments is not known any more.
        """
        found: list[tuple[Manifest, Span]] = []
        wanted = manifest.segments.within(span)
        while page := list(islice(wanted, _PAGE)):
            if found:
                await deferLater(self._clock, 0)
            versions = await self._versions.find_all([ref.upload for ref, _ in page])
            for (ref, part), version in zip(page, versions, strict=True):
                if version is None:
                    raise PartLost(f"segment {ref.number} of file {manifest.upload} is not there any more")
                found.append((version, part))
        return found

    async def pages(self, manifest: Manifest) -> AsyncIterator[list[tuple[SegmentRef, Manifest]]]:
        """Iterate over pages of the segments of a file, as they are now.  Other work has a turn after each page.

        Those of a file that was deleted meanwhile are skipped.
        """
        refs = iter(manifest.segments)
        while page := list(islice(refs, _PAGE)):
            versions = await self._versions.find_all([ref.upload for ref in page])
            yield [(ref, version) for ref, version in zip(page, versions, strict=True) if version is not None]
            await deferLater(self._clock, 0)

    async def find_again(self, segment: Manifest) -> Manifest:
        """Return a segment with the nodes where its parts lie now; as it was if its file was deleted since."""
        [now] = await self._versions.find_all([segment.upload])
        return segment if now is None else now
