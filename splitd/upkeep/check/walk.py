"""Walks through all files below a path, in batches."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import deferLater

from splitd.errors import NotACollection, NotFound
from splitd.interfaces.catalog import ICatalog
from splitd.model.manifest import Manifest
from splitd.model.paths import check_catalog_path, join
from splitd.upkeep.members import sort_out

_STEP = 200
"""Members that are listed before other requests have a turn; also the most files of a batch, about."""


class Walk:
    """The files at and below a path.  Names that change during the walk may be found or not.

    Memory is bounded by the depth of the tree, not by its size.

    :param clock: schedules calls.
    """

    def __init__(self, catalog: ICatalog, path: str, clock: Any) -> None:
        self._catalog = catalog
        self._path = path
        self._clock = clock
        self._collections: list[tuple[str, str]] = []  # each with the name behind which to go on
        self._file: tuple[str, Manifest] | None = None

    async def begin(self) -> None:
        """Look up the path.

        :raise NotFound: nothing has this path.
        :raise BadName: it is not a path.
        """
        check_catalog_path(self._path)
        found = await self._catalog.lookup(self._path)
        if found is None:
            raise NotFound(f"{self._path} does not exist")
        if isinstance(found, Manifest):
            self._file = (self._path, found)
            return
        self._collections.append((self._path, ""))
        if found.own is not None:
            self._file = (join(self._path, ""), found.own)

    async def next(self) -> list[tuple[str, Manifest]]:
        """Return the next files, each with its path; none at the end."""
        if self._file is not None:
            file, self._file = self._file, None
            return [file]
        files: list[tuple[str, Manifest]] = []
        while self._collections and len(files) < _STEP:
            await deferLater(self._clock, 0)  # other requests have a turn
            files += await self._list(*self._collections.pop())
        return files

    async def _list(self, path: str, after: str) -> list[tuple[str, Manifest]]:
        try:
            members = await self._catalog.list_members(path, after, _STEP)
        except (NotFound, NotACollection):
            return []  # it was deleted or replaced meanwhile
        if len(members) == _STEP:
            self._collections.append((path, members[-1].name))
        files, collections = sort_out(path, members)
        self._collections.extend((each, "") for each in collections)
        return files
