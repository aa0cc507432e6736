"""A small file on its way in: it gathers in memory, and its parts travel whole.

The order that the invariants ask for is that of every upload: `upload-started` in the journal, then the first byte to
a node; all parts durable, then `file-committed`, then the answer.  A node that fails is replaced: the bytes are still
here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger
from zope.interface import implementer

from splitd.errors import CatalogReadOnly, LengthMismatch, NotEnoughNodes, SplitdError, UploadFailed
from splitd.interfaces import Doomed, INodeRegistry, IUpload, IUploadLedger
from splitd.lanes import Intent
from splitd.model.manifest import Manifest
from splitd.model.striping import Cutter
from splitd.reaper import Reaper
from splitd.traffic import Traffic
from splitd.version_cache import VersionCache
from storaged.errors import NodeUnavailable, NoSpace, StoragedError
from storaged.partfile import PartId, encode_part

_MOST_FAILED = 3
"""Nodes that may fail one upload; where more do, it is not the nodes."""


@implementer(IUpload)
class SmallUpload:
    """One upload of a file whose parts are small ones.

    :param nodes: where its parts shall lie, by their index.
    :param new_id: makes the id of an upload that is tried again.
    :param ended: called once when it is over, with whether it was committed.
    :param seconds: the time since 1970.
    """

    _log = Logger()

    def __init__(
        self,
        intent: Intent,
        nodes: Sequence[str],
        ledger: IUploadLedger,
        registry: INodeRegistry,
        reaper: Reaper,
        traffic: Traffic,
        cache: VersionCache,
        *,
        new_id: Callable[[], str],
        ended: Callable[[SmallUpload, bool], None],
        seconds: Callable[[], float],
    ) -> None:
        assert intent.size is not None
        self._size = intent.size
        self._intent = intent
        self._nodes = nodes
        self._ledger = ledger
        self._registry = registry
        self._reaper = reaper
        self._traffic = traffic
        self._cache = cache
        self._new_id = new_id
        self._ended = ended
        self._seconds = seconds
        self._pieces: list[bytes] = []
        self._position = 0
        self._broken: Exception | None = None
        self._watchers: list[Deferred[Exception]] = []
        self._finishing: Deferred[Any] | None = None
        self._over = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of the file's bytes, which is never paused: the file is small."""

    def unregisterProducer(self) -> None:
        """Let the producer go."""

    def write(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        if self._over or self._finishing is not None or self._broken is not None:
            return
        self._position += len(data)
        if self._position > self._size:
            self._break(LengthMismatch(f"got {self._position} bytes, expected {self._size}"))
            return
        self._traffic.bytes_in += len(data)
        self._pieces.append(data)

    def _break(self, problem: Exception) -> None:
        self._broken = problem
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.callback(problem)

    def when_broken(self) -> Deferred[Exception]:
        """Learn that the upload cannot succeed any more; see `IUpload.when_broken`."""
        if self._broken is not None:
            return succeed(self._broken)
        watcher: Deferred[Exception] = Deferred()
        self._watchers.append(watcher)
        return watcher

    def finish(self) -> Deferred[tuple[Manifest, bool]]:
        """End the file and commit it; see `IUpload.finish`."""
        assert self._finishing is None, "an upload ends once"
        finishing = Deferred.fromCoroutine(self._finish())
        self._finishing = finishing
        return finishing

    async def _finish(self) -> tuple[Manifest, bool]:
        committed = False
        try:
            manifest, created = await self._store(self._take_file())
            committed = True
        finally:
            self._end(committed=committed)
        if not created:
            self._reaper.wake()
        return manifest, created

    def _take_file(self) -> bytes:
        if self._broken is not None:
            raise self._broken
        if self._position != self._size:
            raise LengthMismatch(f"got {self._position} bytes, expected {self._size}")
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    async def _store(self, data: bytes) -> tuple[Manifest, bool]:
        """Store the parts and commit; where nodes fail, anew on others, under another id."""
        failed: dict[str, str] = {}
        while True:
            problems = await self._try(data)
            if isinstance(problems, tuple):
                return problems
            failed.update(problems)
            told = "; ".join(f"node {node}: {problem}" for node, problem in problems.items())
            self._log.info("upload of {path} is tried again elsewhere: {told}", path=self._intent.path, told=told)
            try:
                self._place_again(failed)
            except NotEnoughNodes as problem:
                raise UploadFailed(f"{self._intent.path}: {told}; {problem}") from problem

    def _place_again(self, failed: dict[str, str]) -> None:
        if len(failed) > _MOST_FAILED:
            raise NotEnoughNodes(f"{len(failed)} nodes have failed by now")
        intent = self._intent
        self._nodes = self._registry.place(len(self._nodes), intent.stored(0) or 0, failed)
        self._intent = attrs.evolve(intent, upload=self._new_id())

    async def _try(self, data: bytes) -> tuple[Manifest, bool] | dict[str, str]:
        """Store and commit once.

        :return: the manifest, and whether there was no file of this name before; or what the nodes that failed had to
            say.
        """
        intent = self._intent
        await self._ledger.begin(intent.upload, intent.path, self._nodes)
        try:
            problems = await self._put_parts(data)
            if not problems:
                manifest = self._manifest()
                created = await self._ledger.commit(intent.path, manifest, intent.condition)
                self._cache.keep(intent.upload, data)
                return manifest, created
        except BaseException as problem:
            await self._clean_up(str(problem) if isinstance(problem, SplitdError) else repr(problem))
            raise
        await self._clean_up("; ".join(problems.values()))
        return problems

    async def _put_parts(self, data: bytes) -> dict[str, str]:
        intent = self._intent
        puts = [
            self._registry.store(node).put_all([(f"{intent.upload}.{index}", part)])
            for index, (node, part) in enumerate(zip(self._nodes, self._parts(data), strict=True))
        ]
        problems: dict[str, str] = {}
        for node, outcomes in zip(self._nodes, await gatherResults(puts), strict=True):
            problem = outcomes[0]
            if isinstance(problem, StoragedError):
                if isinstance(problem, NodeUnavailable | NoSpace):
                    self._registry.failed(node, str(problem))
                problems[node] = str(problem)
        return problems

    def _parts(self, data: bytes) -> list[bytes]:
        intent = self._intent
        cutter = Cutter(intent.layout, len(data))
        columns: list[list[bytes]] = [[] for _ in self._nodes]
        for index, piece in cutter.cut(data):
            columns[index].append(piece)
        return [
            encode_part(PartId(intent.upload, index), intent.layout.unit, b"".join(pieces))
            for index, pieces in enumerate(columns)
        ]

    def _manifest(self) -> Manifest:
        intent = self._intent
        return Manifest(
            upload=intent.upload,
            size=self._size,
            created_ms=int(self._seconds() * 1000),
            data=intent.layout.data,
            parity=intent.layout.parity,
            unit=intent.layout.unit,
            nodes=tuple(self._nodes),
            content_type=intent.content_type,
        )

    async def _clean_up(self, reason: str) -> None:
        """End what was begun and not committed."""
        intent = self._intent
        try:
            await self._ledger.abort(intent.upload, reason)
        except CatalogReadOnly:
            # Whether the file exists is not known until a restart has read the journal: its parts must stay.
            self._log.error("upload {upload} of {path}: the journal failed; its parts stay until a restart",
                            upload=intent.upload, path=intent.path)  # fmt: skip
            return
        self._log.info("upload {upload} of {path} aborted: {reason}",
                       upload=intent.upload, path=intent.path, reason=reason)  # fmt: skip
        holdings = tuple((node, f"{intent.upload}.{index}") for index, node in enumerate(self._nodes))
        # Not waited for: a node that does not answer must not hold up what comes next.
        self._reaper.reap(Doomed(intent.upload, holdings))

    def abort(self, reason: str) -> Deferred[None]:
        """Give the upload up; see `IUpload.abort`."""
        if self._finishing is None:
            self._log.info("upload of {path} given up: {reason}", path=self._intent.path, reason=reason)
            self._end(committed=False)
            return succeed(None)
        over: Deferred[None] = Deferred()

        def ended(result: Any) -> Any:
            over.callback(None)
            return result

        self._finishing.addBoth(ended)
        return over

    def _end(self, *, committed: bool) -> None:
        if not self._over:
            self._over = True
            self._pieces.clear()
            self._ended(self, committed)
