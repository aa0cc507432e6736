"""Checks parts at once that a reader could not read to their end, whenever the scrub would come to them."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from storaged.disk.calls import DiskCalls
from storaged.disk.folder import PartFolder
from storaged.disk.verifying import verify_file
from storaged.parts.errors import PartDamaged, StoragedError
from storaged.parts.findings import Findings
from storaged.parts.format import parse_part_id
from storaged.system.clocks import WallClock
from storaged.system.interfaces import IFilesystem
from storaged.system.parallel import settled

_MOST = 100
"""The most parts that wait for a check; the scrub finds further ones."""


class Rechecks:
    """Checks parts that are not packed, one after the other.  A packed part comes whole, and its reader sees its rot.

    :param findings: gets the rotten parts.
    :param wall: the clock for times that are stored.
    """

    _log = Logger()

    def __init__(
        self, parts: PartFolder, findings: Findings, filesystem: IFilesystem, calls: DiskCalls, wall: WallClock
    ) -> None:
        self._parts = parts
        self._findings = findings
        self._filesystem = filesystem
        self._calls = calls
        self._wall = wall
        self._waiting: deque[str] = deque()
        self._working: Deferred[None] | None = None
        self._stopping = False

    def add(self, part_id: str) -> None:
        """Check a part soon.  This returns at once."""
        if self._stopping or part_id in self._waiting or len(self._waiting) >= _MOST:
            return
        self._waiting.append(part_id)
        if self._working is None:
            self._working = Deferred.fromCoroutine(self._work())
            self._working.addErrback(lambda failure: self._log.failure("checking a part that was not read", failure))
            self._working.addCallback(self._ended)

    def _ended(self, _: None) -> None:
        self._working = None

    def stop(self) -> Deferred[None]:
        """Check no more parts.

        :return: a Deferred that fires with None when nothing is read any more.
        """
        self._stopping = True
        self._waiting.clear()
        return settled([] if self._working is None else [self._working])

    async def _work(self) -> None:
        while self._waiting:
            part_id = self._waiting.popleft()
            self._findings.begin_check()
            try:
                await self._check(part_id)
            except PartDamaged as problem:
                if self._findings.note(part_id, problem.reason, self._wall.now_ms()):
                    self._log.error("rotten: {reason}", reason=problem.reason)
            except StoragedError as problem:
                self._log.warn("part {part} is not checked: {problem}", part=part_id, problem=str(problem))
            finally:
                self._findings.end_check()

    async def _check(self, part_id: str) -> None:
        pieces = verify_file(self._parts, self._filesystem, parse_part_id(part_id))
        while not self._stopping and await self._calls.run(f"part {part_id}", lambda: next(pieces, None)) is not None:
            pass
