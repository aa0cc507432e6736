"""All uploads of the front: begins each the right way, limits their memory, and aborts them all at a stop."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import msgspec
from twisted.internet.defer import DeferredList
from twisted.internet.interfaces import IReactorTime

from splitd.errors import NotEnoughNodes
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.store import IUpload
from splitd.interfaces.upkeep import IReaper
from splitd.interfaces.uploads import IUploadLedger
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest, largest_part
from splitd.model.media import Media
from splitd.model.striping import Layout, parse_layout
from splitd.model.traffic import Traffic
from splitd.uploads.group import GroupCommit
from splitd.uploads.lanes import Intent, Lanes, find_room
from splitd.uploads.small import Again, SmallUpload
from splitd.uploads.streamed import Upload
from storaged.system.budget import Budget
from storaged.system.clocks import WallClock
from storaged.system.parallel import InThread

_SMALL_BYTES = 12 * 1024 * 1024
"""The most bytes of small files that are held whole at the same time; further small files are streamed."""


@attrs.frozen
class Cutting:
    """The settings for new files.

    :param layout: how they are cut into parts, unless their collection asks for another layout.
    :param small_part: a file is small if each of its parts takes at most this many stored bytes; it is stored whole.
    :param new_id: makes ids of uploads: 32 hexadecimal digits, never the same twice.
    :param spare: how many parts more than data parts must be stored; fewer if the layout has less parity.
    :param slow_s: an upload goes on without a part whose node takes nothing for so many seconds while the others wait.
    """

    layout: Layout
    small_part: int
    new_id: Callable[[], str]
    spare: int
    slow_s: float

    def may_miss(self, layout: Layout) -> int:
        """Return how many parts of a file may stay unstored."""
        return max(0, layout.parity - self.spare)

    def layout_for(self, asked: str) -> Layout:
        """Return the layout of a new file.

        :param asked: the layout that its collection asks for, as "6+2"; empty if it asks for none.
        """
        return parse_layout(asked, self.layout.unit) if asked else self.layout


class Uploads:
    """The uploads under way.

    :param hurt: called when a file is committed and some of its parts are not stored.
    :param gap_s: how long a group of small files waits for each further one; see `Gathering`.
    :param keep: called with the id of the upload and the bytes of each small file that was stored.
    :param clock: calls later.
    :param wall: tells when a file was made.
    """

    def __init__(
        self,
        ledger: IUploadLedger,
        registry: INodeRegistry,
        reaper: IReaper,
        traffic: Traffic,
        keep: Callable[[str, bytes], None],
        hurt: Callable[[], object],
        *,
        cutting: Cutting,
        gap_s: float,
        clock: IReactorTime,
        wall: WallClock,
        run: InThread,
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._reaper = reaper
        self._traffic = traffic
        self._cutting = cutting
        self._hurt = hurt
        self._clock = clock
        self._wall = wall
        self._run = run
        self._group = GroupCommit(
            ledger,
            registry,
            reaper,
            keep,
            self._note_hurt,
            new_id=cutting.new_id,
            slow_s=cutting.slow_s,
            gap_s=gap_s,
            clock=clock,
            wall=wall,
        )
        self._small = Budget(_SMALL_BYTES)
        self._under_way: set[Upload | SmallUpload] = set()

    async def begin(
        self,
        path: str,
        size: int | None,
        said: str | Media,
        condition: Condition,
        layout: str = "",
        *,
        segment_of: str = "",
        number: int = 0,
        replaces: str | None = None,
    ) -> IUpload:
        """Begin an upload; bytes can flow when this returns.

        :param size: the bytes of the file, or None if unknown.
        :param said: the headers that the client sent with the file, as `Media.compact` returns them.
        :param layout: the layout that its collection asks for, as "6+2"; empty if it asks for none.
        :param segment_of: if it is a segment, the id of its continued upload.
        :param number: the number of the segment.
        :param replaces: see `Commit.replaces`.
        :raise NotEnoughNodes: too few nodes can take a part, or have room for one.  Nothing was begun.
        :raise Overloaded: this process cannot connect to nodes.  Nothing was begun.
        :raise CatalogReadOnly: the catalog cannot record the upload.  Nothing was begun.
        """
        intent = self._intend(path, size, said, condition, layout, segment_of, number, replaces)
        largest = intent.largest
        if size and largest is not None and largest <= self._cutting.small_part:
            await find_room(self._registry, lambda: self._registry.check_room(intent.least, largest))
            if self._small.take(size):
                return self._begin_small(intent)
        return await self._begin_streamed(intent)

    def begin_soon(
        self,
        path: str,
        size: int,
        said: str | Media,
        condition: Condition,
        layout: str = "",
        again: Again | None = None,
    ) -> IUpload | None:
        """Begin the upload of a small file whose bytes are there, if nothing has to be waited for; see `begin` for the
        parameters.

        :param again: begins another upload of the file, if the layout is only assumed, and the catalog then refuses
            this one with `UploadAborted`; None if the layout is known.
        :return: the upload; None if nothing was begun.
        """
        intent = self._intend(path, size, said, condition, layout)
        if again is not None:
            intent = msgspec.structs.replace(intent, asked=layout)
        if not size or intent.reserved > self._cutting.small_part:
            return None
        try:
            self._registry.check_room(intent.least, intent.reserved)
        except NotEnoughNodes:
            return None
        return self._begin_small(intent, again) if self._small.take(size) else None

    def _intend(
        self,
        path: str,
        size: int | None,
        said: str | Media,
        condition: Condition,
        layout: str,
        segment_of: str = "",
        number: int = 0,
        replaces: str | None = None,
    ) -> Intent:
        cutting = self._cutting
        cut = cutting.layout_for(layout)
        largest = None if size is None else largest_part(cut, size)
        of = segment_of, number, replaces
        return Intent(cutting.new_id(), path, size, largest, said, condition, cut, cutting.may_miss(cut), *of)

    def _begin_small(self, intent: Intent, again: Again | None = None) -> SmallUpload:
        def ended(upload: SmallUpload, committed: bool | None) -> None:
            self._small.give_back(upload.size)
            self._ended(upload, committed)

        upload = SmallUpload(intent, self._group, self._traffic, ended, again)
        self._began(upload)
        return upload

    async def _begin_streamed(self, intent: Intent) -> IUpload:
        lanes = {} if intent.size == 0 else await Lanes(self._registry, intent).connect()
        upload = Upload(
            intent,
            lanes,
            self._ledger,
            self._registry,
            self._reaper,
            self._traffic,
            self._ended,
            self._note_hurt,
            clock=self._clock,
            slow_s=self._cutting.slow_s,
            wall=self._wall,
            run=self._run,
        )
        self._began(upload)
        await upload.start()
        return upload

    def _began(self, upload: Upload | SmallUpload) -> None:
        self._under_way.add(upload)
        self._traffic.upload_began()

    def _ended(self, upload: Upload | SmallUpload, committed: bool | None) -> None:
        self._under_way.discard(upload)
        self._traffic.upload_ended(committed=committed)

    def _note_hurt(self) -> None:
        self._traffic.uploads_degraded += 1
        self._hurt()

    async def find_room(self, size: int, layout: str = "") -> None:
        """Look whether nodes have room for a file; none of it is reserved.

        :raise NotEnoughNodes: too few nodes can take a part, or have room for one.
        """
        cut = self._cutting.layout_for(layout)
        least = cut.width - self._cutting.may_miss(cut)
        await find_room(self._registry, lambda: self._registry.check_room(least, largest_part(cut, size)))

    def empty_file(self) -> Manifest:
        """Make the manifest of a new empty file; it has no parts and needs no upload."""
        return self.new_version(self._cutting.new_id())

    def new_id(self) -> str:
        """Make the id of a new upload."""
        return self._cutting.new_id()

    def new_version(self, upload: str, layout: str = "") -> Manifest:
        """Make the manifest of a version without bytes, parts or segments.

        :param upload: the id of its upload.
        :param layout: the layout that its collection asks for, as "6+2"; empty if it asks for none.
        """
        cut = self._cutting.layout_for(layout)
        return Manifest(upload, 0, self._wall.now_ms(), cut.data, cut.parity, cut.unit, ())

    async def abort_all(self, reason: str) -> None:
        """Abort all uploads under way, and wait until they have ended."""
        await DeferredList([upload.abort(reason) for upload in list(self._under_way)])
        await self._group.settle()
