"""Reads all files that have parts, page by page; of files with segments it gives the segments."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from splitd.downloads.finding import Segmentation
from splitd.errors import NotACollection, NotFound
from splitd.interfaces.catalog import ICatalog
from splitd.model.manifest import Manifest
from splitd.upkeep.members import sort_out

_PAGE = 200


class StoredFiles:
    """All versions that have parts and belong to a file, each as it is when its page is read.

    :param segmentation: finds the segments of files.
    """

    def __init__(self, catalog: ICatalog, segmentation: Segmentation) -> None:
        self._catalog = catalog
        self._segmentation = segmentation
        self._waiting = deque(["/"])
        self._after = ""

    async def pages(self) -> AsyncIterator[list[tuple[str, Manifest]]]:
        """Iterate over pages of versions with the paths of their files; a page may be empty."""
        while self._waiting:
            segmented = []
            page = []
            for path, manifest in await self._next():
                if manifest.packed_segments:
                    segmented.append((path, manifest))
                else:
                    page.append((path, manifest))
            yield page
            for path, manifest in segmented:
                async for some in self._segmentation.pages(manifest):
                    yield [(path, version) for _, version in some if version.nodes]

    async def _next(self) -> list[tuple[str, Manifest]]:
        folder = self._waiting[-1]
        try:
            members = await self._catalog.list_members(folder, self._after, _PAGE)
        except (NotFound, NotACollection):
            members = []  # the collection was deleted or replaced since its name was read
        self._after = members[-1].name if members else ""
        if not members:
            self._waiting.pop()
        files, collections = sort_out(folder, members)
        self._waiting.extendleft(collections)
        return [(path, file) for path, file in files if file.nodes or file.packed_segments]
