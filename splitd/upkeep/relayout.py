"""Gives stored files the layout that their collection asks for: parity is added or dropped, and no data moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.downloads.finding import Segmentation
from splitd.errors import LayoutRefused, NotACollection, NotFound, RelayoutUnderWay, SplitdError
from splitd.interfaces.catalog import ICatalog
from splitd.interfaces.layouts import ILayouts
from splitd.interfaces.names import INamespace
from splitd.model.manifest import Manifest
from splitd.model.path_faults import is_own
from splitd.model.paths import folder_of, join
from splitd.model.striping import Layout, parse_layout
from splitd.upkeep.members import sort_out
from splitd.upkeep.walks import Walks
from storaged.http import reason_of
from storaged.system.clocks import WallClock
from storaged.system.parallel import gather, settled

_PAGE = 200
"""Files that are looked at in one step; their records share a sync of the journal."""

RELAYOUT = "relayout"
"""The task of the front that gives files another layout."""


@attrs.define
class RelayoutProgress:
    """The progress of giving stored files another layout; times in milliseconds since 1970.

    :param path: the file, or the collection with all below it.
    :param state: "running", then "done", "stopped" or "failed".
    :param files: how many files with parts were looked at.
    :param changed: how many got more parity parts, which are rebuilt in the background, or fewer.
    :param other: how many keep theirs, because they are cut into another number of data parts.
    :param hurt: how many keep theirs for now, because parts of them must be rebuilt first.
    :param problem: why it failed; empty if it did not.
    """

    path: str
    began_ms: int
    state: str = "running"
    ended_ms: int | None = None
    files: int = 0
    changed: int = 0
    other: int = 0
    hurt: int = 0
    problem: str = ""


class Relayout:
    """Runs one walk over stored files at a time, when an operator asks for it.

    A walk that ends early has changed some files and not the others; a new one skips those that are changed.

    :param segmentation: finds the segments of files.
    :param setting: the layout of files whose collections ask for none.
    :param count_nodes: returns how many nodes may take parts.
    :param changed: called when parts may be missing, or doomed.
    :param clock: calls later.
    :param wall: tells the times that are shown.
    """

    _log = Logger()

    def __init__(
        self,
        catalog: ICatalog,
        namespace: INamespace,
        layouts: ILayouts,
        segmentation: Segmentation,
        setting: Layout,
        count_nodes: Callable[[], int],
        changed: Callable[[], object],
        *,
        clock: Any,
        wall: WallClock,
        walks: Walks,
    ) -> None:
        self._lease = walks.lease(RELAYOUT)
        self._catalog = catalog
        self._namespace = namespace
        self._layouts = layouts
        self._segmentation = segmentation
        self._setting = setting
        self._count_nodes = count_nodes
        self._changed = changed
        self._clock = clock
        self._wall = wall
        self._running: Deferred[None] | None = None
        self.progress: RelayoutProgress | None = None

    async def start(self, path: str) -> RelayoutProgress:
        """Begin a walk.

        :param path: a file, or a collection: then all below it is looked at.
        :return: its progress, which changes while it runs.
        :raise NotFound: nothing has this path.
        :raise LayoutRefused: the layout for this path has more parts than there are nodes that may take parts.
        :raise RelayoutUnderWay: another walk has not ended yet.
        :raise DoneElsewhere: another front gives files their layout.
        """
        found = None if is_own(path) else await self._catalog.lookup(path)
        if found is None:
            raise NotFound(f"there is no {path}")
        await self._layout_of(folder_of(path) if isinstance(found, Manifest) else path)
        self._refuse_second()
        await self._lease.acquire(path)
        self._refuse_second()
        progress = self.progress = RelayoutProgress(path, self._wall.now_ms())
        running = self._running = Deferred.fromCoroutine(self._run(found, progress))
        running.addBoth(self._ended, progress)
        return progress

    def _refuse_second(self) -> None:
        if self._running is not None:
            raise RelayoutUnderWay(f"files in {self._path} are being given their layout already")

    @property
    def _path(self) -> str:
        return "" if self.progress is None else self.progress.path

    @property
    def under_way(self) -> bool:
        """Whether a walk is running."""
        return self._running is not None

    async def stop(self) -> None:
        """Stop the running walk, if any, and wait until it has ended."""
        if self._running is not None:
            over = settled([self._running])
            self._running.cancel()
            await over

    def _ended(self, result: Failure | None, progress: RelayoutProgress) -> None:
        self._running = None
        progress.ended_ms = self._wall.now_ms()
        progress.state = "done"
        if isinstance(result, Failure):
            progress.state = "stopped"
            if not result.check(CancelledError):
                progress.state, progress.problem = "failed", reason_of(result.value)
                if not result.check(SplitdError):
                    self._log.failure("giving files another layout", result)
        self._log.info(
            "the layouts of the files in {path}: {state}, {files} files, {changed} changed, {other} and {hurt} not "
            "{problem}",
            **attrs.asdict(progress),
        )

    async def _run(self, found: Any, progress: RelayoutProgress) -> None:
        try:
            await self._walk(found, progress)
        finally:
            await self._lease.release()

    async def _walk(self, found: Any, progress: RelayoutProgress) -> None:
        if isinstance(found, Manifest):
            await self._change([found], await self._layout_of(folder_of(progress.path)), progress)
            return
        if found.own is not None:
            await self._change([found.own], await self._layout_of(folder_of(progress.path)), progress)
        waiting = deque([join(progress.path, "")])
        while waiting:
            folder, after = waiting.popleft(), ""
            while True:
                try:
                    layout = await self._layout_of(folder)
                    members = await self._catalog.list_members(folder, after, _PAGE)
                except (NotFound, NotACollection):
                    break  # the collection was deleted or replaced since its name was read
                files, collections = sort_out(folder, members)
                waiting.extend(collections)
                await self._change([manifest for _, manifest in files], layout, progress)
                if len(members) < _PAGE:
                    break
                after = members[-1].name
                await deferLater(self._clock, 0)  # let other work run

    async def _layout_of(self, folder: str) -> Layout:
        """Return the layout of new files in a collection.

        :raise LayoutRefused: it has more parts than there are nodes that may take parts.
        """
        asked = (await self._namespace.asked_layout(folder)).layout
        layout = parse_layout(asked, self._setting.unit) if asked else self._setting
        nodes = self._count_nodes()
        if layout.width > nodes:
            raise LayoutRefused(
                f"{folder}: layout {layout} needs {layout.width} nodes that take parts, and there are {nodes}"
            )
        return layout

    async def _change(self, files: list[Manifest], layout: Layout, progress: RelayoutProgress) -> None:
        for file in files:
            if file.packed_segments:
                await self._change_segments(file, layout, progress)
        stored = [file for file in files if file.nodes]
        fitting = [file for file in stored if file.data == layout.data]
        wanting = {file.upload for file in fitting if file.parity != layout.parity}
        progress.files += len(stored)
        progress.other += len(stored) - len(fitting)
        await self._lease.confirm()
        await gather([self._change_one(upload, layout.parity, progress) for upload in wanting])
        if wanting:
            self._changed()

    async def _change_segments(self, file: Manifest, layout: Layout, progress: RelayoutProgress) -> None:
        """Give the segments of a file the layout; it counts as one file."""
        own = RelayoutProgress(progress.path, progress.began_ms)
        async for page in self._segmentation.pages(file):
            await self._change([version for _, version in page], layout, own)
        progress.files += 1
        progress.changed += bool(own.changed)
        progress.other += bool(own.other)
        progress.hurt += bool(own.hurt)

    async def _change_one(self, upload: str, parity: int, progress: RelayoutProgress) -> None:
        try:
            changed = await self._layouts.change_parity(upload, parity)
        except LayoutRefused:
            progress.hurt += 1
        else:
            progress.changed += changed
