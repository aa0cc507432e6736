"""Reads every part of a node again and again, at a gentle rate, and notes those that are rotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from storaged.disk.calls import DiskCalls
from storaged.disk.folder import SUBFOLDERS, PartFolder
from storaged.disk.verifying import verify_file
from storaged.packs.store import PackStore
from storaged.packs.verifying import Portion
from storaged.parts.decoding import check_part
from storaged.parts.errors import BadPart, PartDamaged, PartMissing, StoragedError
from storaged.parts.findings import Findings
from storaged.parts.format import parse_part_id
from storaged.parts.values import Scrub
from storaged.scrub.progress import STEPS, Position, Progress
from storaged.system.clocks import WallClock
from storaged.system.interfaces import IFilesystem
from storaged.system.once import Once

_PLANNED = 0.9
"""The share of the period that a pass is planned to take; the rest is for disks that are busy at times."""

_SAVE_S = 60.0
"""Seconds between two saves; after a kill, the scrub reads again what it read since the last one."""

_RETRY_S = 60.0

_SUBJECT = "the scrub"


@attrs.frozen
class _Item:
    """Something to check: a part that is not packed, or a pack.

    :param key: tells it from the others; items of a step are checked in ascending order of their keys.
    :param size: its bytes.
    :param check: begins the check; each step of it blocks, and reads at most a few hundred KiB.
    """

    key: str
    size: int
    check: Callable[[], Iterator[Portion]]


class Scrubber:
    """The scrub of one node.

    A pass has `STEPS` steps of the same duration, and each spreads its parts evenly over its time.  Ids begin with two
    random digits, so the steps have about the same size, and nobody has to know the size of all parts.

    :param findings: gets the rotten parts.
    :param clock: measures the rate; nobody sets it.
    :param wall: the clock for times that are stored.
    :param period_s: the seconds that one pass over all parts may take; 0 for no scrub.
    """

    _log = Logger()

    def __init__(
        self,
        progress: Progress,
        parts: PartFolder,
        packs: PackStore,
        findings: Findings,
        filesystem: IFilesystem,
        calls: DiskCalls,
        *,
        clock: IReactorTime,
        wall: WallClock,
        period_s: float,
    ) -> None:
        self._progress = progress
        self._parts = parts
        self._packs = packs
        self._findings = findings
        self._filesystem = filesystem
        self._calls = calls
        self._clock = clock
        self._wall = wall
        self._step_s = period_s * _PLANNED / STEPS
        self._position: Position | None = None
        self._share = 0.0  # of the present step
        self._scrubbed_bytes = 0
        self._saved_at = 0.0
        self._next_due = 0.0
        self._waiting: Deferred[None] | None = None
        self._began = 0.0
        self._paused_at: float | None = None
        self._stopping = False
        self._ended: Once[None] = Once()

    def report(self) -> Scrub:
        """Return how far the scrub is."""
        position = self._position or Position()
        share = (position.step + self._share) / STEPS
        paused = self._paused_at is not None
        return Scrub(len(self._findings), self._scrubbed_bytes, round(share, 4), position.ended_ms, paused)

    def start(self) -> None:
        """Begin in the background; returns at once.  To be called once, when the store is started."""
        if self._step_s > 0:
            Deferred.fromCoroutine(self._live()).addBoth(lambda _: self._ended.fire(None))
        else:
            self._ended.fire(None)

    def stop(self) -> Deferred[None]:
        """Stop.  May be called again, but not before `start`.

        :return: a Deferred that fires with None when nothing is read any more, and the progress is saved.
        """
        self._stopping = True
        if self._waiting is not None:
            self._waiting.cancel()
        return self._ended.wait()

    def pause(self) -> Scrub:
        """Read nothing more until `resume` or a restart, but to the end of the read in progress.

        :return: the state of the scrub.
        """
        if self._paused_at is None:
            self._paused_at = self._clock.seconds()
        return self.report()

    def resume(self) -> Scrub:
        """Go on after `pause`, at the same rate: the pause is no part of the time that a pass may take.

        :return: the state of the scrub.
        """
        if self._paused_at is not None:
            paused_s = self._clock.seconds() - self._paused_at
            self._paused_at = None
            self._began += paused_s
            self._next_due += paused_s
            if self._waiting is not None:
                self._waiting.cancel()  # whoever waits looks again for how long
        return self.report()

    async def _live(self) -> None:
        while not self._stopping:
            try:
                await self._wait_until(0.0)
                if self._stopping:
                    break
                if self._position is None:
                    await self._load()
                else:
                    await self._step(self._position)
            except StoragedError as problem:
                self._log.error("the scrub waits: {problem}", problem=str(problem))
                await self._wait_for_retry()
            except Exception:
                self._log.failure("the scrub waits")
                await self._wait_for_retry()
        await self._save()

    async def _wait(self, waiting: Deferred[None]) -> None:
        """Wait for something; the end of a pause and a stop end it."""
        self._waiting = waiting
        try:
            await waiting
        except CancelledError:
            return
        finally:
            self._waiting = None

    async def _wait_until(self, share: float) -> None:
        """Wait until so much of the present step is due, and while the scrub is paused; a stop ends it."""
        while not self._stopping:
            left_s = self._began + self._step_s * share - self._clock.seconds()
            if self._paused_at is not None:
                await self._wait(Deferred())
            elif left_s > 0:
                await self._wait(deferLater(self._clock, left_s))
            else:
                return

    async def _wait_for_retry(self) -> None:
        if not self._stopping:
            await self._wait(deferLater(self._clock, _RETRY_S))

    async def _load(self) -> None:
        position = await self._calls.run(_SUBJECT, self._progress.load)
        self._findings.restore(position.parts())
        position.rotten = []
        self._saved_at = self._next_due = self._clock.seconds()
        self._position = position
        await self._review()

    async def _review(self) -> None:
        """Forget the findings whose parts are not there any more, or are good because somebody has mended them."""
        for finding in self._findings.all():
            if self._stopping:
                return
            [outcome] = await self._packs.get_all([finding.part_id])
            if isinstance(outcome, PartMissing) or (isinstance(outcome, bytes) and _is_good(finding.part_id, outcome)):
                self._findings.forget(finding.part_id)

    async def _step(self, position: Position) -> None:
        self._begin_step()
        items = [item for item in await self._items(position.step) if item.key > position.after]
        total, done = sum(item.size for item in items), 0
        for item in items:
            portions = item.check()
            while (portion := await self._check(item, portions)) is not None:
                done += portion.size
                self._scrubbed_bytes += portion.size
                self._share = min(1.0, done / total) if total else 1.0
            if self._stopping:
                return  # perhaps in the middle of the item
            position.after = item.key
            if self._clock.seconds() - self._saved_at >= _SAVE_S:
                await self._save()
        await self._wait_until(1.0)
        if not self._stopping:
            await self._end_step(position)

    def _begin_step(self) -> None:
        """Note when the present step was due to begin; that is now, if the scrub is late by more than a step."""
        now = self._clock.seconds()
        self._began = self._next_due if 0 <= now - self._next_due < self._step_s else now
        self._next_due = self._began + self._step_s
        self._share = 0.0

    async def _end_step(self, position: Position) -> None:
        position.step, position.after, self._share = position.step + 1, "", 0.0
        if position.step == STEPS:
            position.step, position.ended_ms = 0, self._wall.now_ms()
            self._log.info("the scrub has read all parts; {rotten} are rotten", rotten=len(self._findings))
            await self._review()

    async def _items(self, step: int) -> list[_Item]:
        files = await self._calls.run(_SUBJECT, lambda: self._parts.scan(SUBFOLDERS[step], ""))
        return [
            *(_Item(file.part_id, file.stored_size, partial(self._check_file, file.part_id)) for file in files),
            # Letters sort after the digits that ids begin with.
            *(
                _Item(f"pack {number:010}", size, partial(self._packs.verify, number))
                for number, size in sorted(self._packs.steps(step, STEPS).items())
            ),
        ]

    def _check_file(self, part_id: str) -> Iterator[Portion]:
        try:
            for size in verify_file(self._parts, self._filesystem, parse_part_id(part_id)):
                yield Portion(size)
            yield Portion(0, good=[part_id])
        except PartDamaged as problem:
            yield Portion(0, [(part_id, problem.reason)])

    async def _check(self, item: _Item, portions: Iterator[Portion]) -> Portion | None:
        """Check the next portion of an item.

        :return: the portion; None at the end, at a stop, and if the item cannot be read now.  That says nothing about
            its bytes.
        """
        await self._wait_until(self._share)
        if self._stopping:
            return None
        self._findings.begin_check()
        try:
            portion: Portion | None = await self._calls.run(_SUBJECT, lambda: next(portions, None))
            if portion is not None:
                self._note(portion)
                if portion.intact:
                    await self._packs.write_again(portion.intact)
        except StoragedError as problem:
            self._log.error("the scrub skips {item}: {problem}", item=item.key, problem=str(problem))
            return None
        finally:
            self._findings.end_check()
        return portion

    def _note(self, portion: Portion) -> None:
        for part_id, reason in portion.rotten:
            if self._findings.note(part_id, reason, self._wall.now_ms()):
                self._log.error("rotten: {reason}", reason=reason)
        for part_id in portion.good:
            self._findings.forget(part_id)
        for part in portion.intact:
            self._log.warn("part {part} is good, but its entry in {pack} is damaged: it is written again",
                           part=part.part_id, pack=part.place.pack)  # fmt: skip

    async def _save(self) -> None:
        """Save the progress.  If that fails, some of the work will be done again after a restart."""
        position = self._position
        if position is None:
            return
        self._saved_at = self._clock.seconds()
        try:
            await self._calls.run(_SUBJECT, lambda: self._progress.save(position, self._findings.all()))
        except StoragedError as problem:
            self._log.error("the progress of the scrub is not saved: {problem}", problem=str(problem))


def _is_good(part_id: str, data: bytes) -> bool:
    try:
        check_part(parse_part_id(part_id), data)
    except BadPart:
        return False
    return True
