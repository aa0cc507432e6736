"""Small files that come at about the same time are stored together: a message for each node, a sync for all.

The order that the invariants ask for is that of every upload: `upload-started` in the journal, then the first byte to
a node; all parts durable, but for those that the file may miss, then `file-committed`, then the answer.  If there are
other nodes, one that fails is replaced: the bytes are still here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import attrs
import msgspec
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.errors import CatalogReadOnly, NotEnoughNodes, NotEnoughSpace, Overloaded, SplitdError, UploadFailed
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.upkeep import IReaper
from splitd.interfaces.uploads import IUploadLedger, Start
from splitd.model.erasure import cut_whole
from splitd.model.manifest import Manifest
from splitd.model.striping import Layout
from splitd.uploads.answers import Outcomes, all_answers
from splitd.uploads.gathering import Gathering
from splitd.uploads.lanes import Intent, explain_failed, name_failed, place_fewer
from storaged.http import reason_of
from storaged.parts.errors import NodeUnavailable, NoSpace, NotAsked, StoragedError
from storaged.parts.format import encode_parts
from storaged.system.clocks import WallClock
from storaged.system.tracing import doing_for, present_requests

Stored: TypeAlias = tuple[Manifest, bool]

_MOST_FAILED = 3
"""Nodes that may fail one file; where more do, it is not the nodes."""


@attrs.define(eq=False)
class _File:
    """A file that has arrived.

    :param failed: the errors of the nodes that have failed it, by their ids.
    :ivar given_up: whether nobody waits for it any more.
    :ivar waited: whether it has waited for a slow node.
    :ivar requests: the id of the client's request that it came with, if nodes are told.
    :ivar stored_size: the bytes that its largest part takes.
    """

    intent: Intent
    data: bytes
    answer: Deferred[Stored] = attrs.field(init=False)
    failed: dict[str, StoragedError] = attrs.Factory(dict)
    given_up: bool = False
    waited: bool = False
    requests: str = attrs.field(factory=present_requests)
    stored_size: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.answer = Deferred(self._give_up)
        self.stored_size = self.intent.reserved

    def _give_up(self, _: Deferred[Stored]) -> None:
        self.given_up = True

    def encode(self, columns: Sequence[list[tuple[str, bytes]]]) -> None:
        """Append the id and the stored bytes of each of its parts to the column of its index."""
        upload, layout = self.intent.upload, self.intent.layout
        parts = encode_parts(upload, layout.unit, cut_whole(layout, self.data))
        for index, (column, data) in enumerate(zip(columns, parts, strict=True)):
            column.append((f"{upload}.{index}", data))


class GroupCommit:
    """Stores small files, many at once.

    :param hurt: called when a file is committed and some of its parts are not stored.
    :param new_id: makes the id of an upload that is tried again.
    :param slow_s: a group goes on without a node that stores nothing for so many seconds while the others wait for it.
    :param gap_s: how long a group waits for each further file; see `Gathering`.
    :param clock: calls later.
    :param wall: tells when a file was made.
    """

    _log = Logger()

    def __init__(
        self,
        ledger: IUploadLedger,
        registry: INodeRegistry,
        reaper: IReaper,
        keep: Callable[[str, bytes], None],
        hurt: Callable[[], object],
        *,
        new_id: Callable[[], str],
        slow_s: float,
        gap_s: float,
        clock: IReactorTime,
        wall: WallClock,
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._reaper = reaper
        self._keep = keep
        self._hurt = hurt
        self._slow_s = slow_s
        self._new_id = new_id
        self._clock = clock
        self._wall = wall
        self._gathering: Gathering[_File] = Gathering(clock, gap_s, self._begin)
        self._groups: set[Deferred[None]] = set()

    def store(self, intent: Intent, data: bytes) -> Deferred[Stored]:
        """Store a file and commit it; see `IUpload.finish`.

        Where the Deferred is cancelled it may be committed still.
        """
        file = _File(intent, data)
        self._gathering.add(file)
        return file.answer

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._groups or self._gathering:
            if self._groups:
                await DeferredList(list(self._groups))
            else:
                self._gathering.begin()

    def _begin(self, files: Sequence[_File]) -> None:
        layouts: dict[Layout, list[_File]] = {}  # one group takes one set of nodes
        for file in files:
            layouts.setdefault(file.intent.layout, []).append(file)
        for same in layouts.values():
            self._begin_group(same)

    def _begin_group(self, files: Sequence[_File]) -> None:
        group = Deferred.fromCoroutine(self._store(files))
        self._groups.add(group)
        group.addErrback(self._fault, files)
        group.addCallback(lambda _: self._groups.discard(group))

    def _fault(self, failure: Failure, files: Sequence[_File]) -> None:
        self._log.failure("storing small files", failure)
        for file in files:
            _answer(file, failure)

    async def _store(self, files: Sequence[_File]) -> None:
        """Store some files of one layout on the same nodes and commit them; those that a node failed wait once more."""
        requests = [file.requests for file in files if file.requests]
        if requests:
            doing_for(requests)
        try:
            nodes = self._place(files)
        except NotEnoughNodes as problem:
            if len(files) == 1:
                _answer(
                    files[0],
                    Failure(
                        _explained(files[0], explain_failed(files[0].failed, problem)) if files[0].failed else problem
                    ),
                )
                return
            # Each may have room alone, or other nodes that have not failed it.
            middle = len(files) // 2
            await self._store(files[:middle])
            await self._store(files[middle:])
            return
        self._gathering.began()
        try:
            if not await self._begin_uploads(files, nodes):
                return
            problems = await self._put_parts(files, nodes)
            ends = self._end(files, nodes, problems)
            # They are written together.  One that has to wait for its turn does not hold up the next group.
            await DeferredList(ends, fireOnOneCallback=True)
        finally:
            self._gathering.ended(len(files))
        await DeferredList(ends)

    def _place(self, files: Sequence[_File]) -> list[str]:
        """Choose the nodes of some files of one layout; "" for parts that no node takes."""
        failed = {node for file in files for node in file.failed}
        intent, size = files[0].intent, sum(file.stored_size for file in files)
        width = intent.layout.width

        def place(count: int) -> list[str]:
            return self._registry.place(count, size, failed)

        try:
            return place(width)
        except NotEnoughNodes as problem:
            if len(files) > 1 and (failed or isinstance(problem, NotEnoughSpace)):
                raise  # some of them may find more
            fewer = place_fewer(place, width - 1, intent.least)
            if fewer is None:
                raise
            return fewer + [""] * (width - len(fewer))

    async def _begin_uploads(self, files: Sequence[_File], nodes: Sequence[str]) -> bool:
        """Note that parts may lie on these nodes from now on.

        :return: whether that is so; where not, the files are answered.
        """
        try:
            await self._ledger.begin_all([Start(file.intent.upload, file.intent.path, nodes) for file in files])
        except Exception:
            failure = Failure()
            for file in files:
                await self._refused(failure, file)
            return False
        return True

    async def _put_parts(self, files: Sequence[_File], nodes: Sequence[str]) -> list[dict[str, StoragedError]]:
        """Store the parts.

        :return: for each file the errors of the nodes that failed it, by their ids.
        """
        columns: list[list[tuple[str, bytes]]] = [[] for _ in nodes]
        for file in files:
            file.encode(columns)
        puts = {node: self._put(node, parts) for node, parts in zip(nodes, columns, strict=True) if node}
        problems: list[dict[str, StoragedError]] = [{} for _ in files]

        def too_slow(node: str) -> Outcomes:
            problem = NodeUnavailable(f"stored nothing for {self._slow_s:g} s, while the other nodes waited")
            self._registry.failed(node, problem.reason)
            for file in files:
                file.waited = True
            return [problem] * len(files)

        answers = await all_answers(puts, files[0].intent.least, self._slow_s, self._clock, too_slow)
        for node, outcomes in answers.items():
            for outcome, failed in zip(outcomes, problems, strict=True):
                if isinstance(outcome, StoragedError):
                    failed[node] = outcome
        return problems

    def _put(self, node: str, parts: Sequence[tuple[str, bytes]]) -> Deferred[Outcomes]:
        def fault(failure: Failure) -> Outcomes:
            self._log.failure("storing parts on node {node}", failure, node=node)
            return [NodeUnavailable(reason_of(failure.value))] * len(parts)

        return maybeDeferred(self._registry.store(node).put_all, parts).addErrback(fault)

    def _end(
        self, files: Sequence[_File], nodes: Sequence[str], problems: Sequence[dict[str, StoragedError]]
    ) -> list[Deferred[None]]:
        """Commit the files that are stored, and see what else can be done with the others.

        :return: a Deferred for each that fires with None when that is done.
        """
        ended: list[Deferred[None]] = []
        stored: list[tuple[_File, Manifest]] = []
        for file, failed in zip(files, problems, strict=True):
            if file.given_up or (failed and not self._may_commit(file, failed, nodes)):
                again = Deferred.fromCoroutine(self._try_again(file, failed))
                ended.append(again.addErrback(self._fault, [file]))
            else:
                stored.append((file, self._manifest(file, ["" if node in failed else node for node in nodes])))
        commits = [file.intent.commit(manifest) for file, manifest in stored]
        for (file, manifest), committed in zip(stored, self._ledger.commit_all(commits), strict=True):
            over = committed.addCallbacks(
                self._committed, self._refused, callbackArgs=(file, manifest), errbackArgs=(file,)
            )
            ended.append(over.addErrback(self._fault, [file]))
        return ended

    def _may_commit(self, file: _File, failed: Mapping[str, StoragedError], nodes: Sequence[str]) -> bool:
        """Whether a file that some nodes have failed should be committed without these parts.

        If there are enough other nodes, all its parts are stored there instead, unless that has failed before, or the
        client has waited long already.
        """
        stored = sum(1 for node in nodes if node and node not in failed)
        if stored < file.intent.least:
            return False
        avoid = failed.keys() | file.failed.keys()
        others = [node for node in self._registry.node_ids() if node not in avoid and self._registry.is_usable(node)]
        return file.waited or bool(file.failed) or len(others) < file.intent.layout.width

    def _manifest(self, file: _File, nodes: Sequence[str]) -> Manifest:
        intent = file.intent
        return Manifest(
            upload=intent.upload,
            size=len(file.data),
            created_ms=self._wall.now_ms(),
            data=intent.layout.data,
            parity=intent.layout.parity,
            unit=intent.layout.unit,
            nodes=tuple(nodes),
            said=intent.said,
            segment_of=intent.segment_of,
        )

    def _committed(self, created: bool, file: _File, manifest: Manifest) -> None:
        self._keep(manifest.upload, file.data)
        if manifest.missing:
            self._hurt()
        if manifest.missing or not created:
            self._reaper.wake()
        if not file.given_up:
            file.answer.callback((manifest, created))

    def _refused(self, failure: Failure, file: _File) -> Deferred[None]:
        # A refusal that would have come before the upload, if the front had asked first, is the client's matter alone.
        problem = failure.value
        is_late = file.intent.asked is not None and isinstance(problem, SplitdError)
        quiet = is_late and not isinstance(problem, CatalogReadOnly)
        cleaned = Deferred.fromCoroutine(self._clean_up(file, reason_of(problem), quiet=quiet))
        return cleaned.addCallback(lambda _: _answer(file, failure))

    async def _try_again(self, file: _File, failed: dict[str, StoragedError]) -> None:
        """Give a file that some nodes have failed to others, unless nobody waits for it any more."""
        await self._clean_up(file, name_failed(failed) or "the client has left")
        if file.given_up:
            return
        not_asked = next((problem for problem in failed.values() if isinstance(problem, NotAsked)), None)
        if not_asked is not None:  # nor would other nodes be
            _answer(file, Failure(Overloaded(not_asked.reason)))
            return
        file.failed.update(failed)
        if len(file.failed) > _MOST_FAILED:
            _answer(
                file, Failure(_explained(file, f"{name_failed(file.failed)}; that many are not the fault of the nodes"))
            )
            return
        self._log.info("upload of {path} is tried again elsewhere: {reasons}",
                       path=file.intent.path, reasons=name_failed(failed))  # fmt: skip
        file.intent = msgspec.structs.replace(file.intent, upload=self._new_id())
        self._gathering.add(file, again=True)

    async def _clean_up(self, file: _File, reason: str, *, quiet: bool = False) -> None:
        """End what was begun and not committed."""
        upload, path = file.intent.upload, file.intent.path
        try:
            await self._ledger.abort(upload, reason)
        except CatalogReadOnly:
            # If the journal failed, a restart must read it to know whether the file exists: its parts stay until then.
            # If it takes nothing just now, the ledger repeats the abort.
            self._log.error("upload {upload} of {path} cannot be aborted now; its parts stay until that is possible",
                            upload=upload, path=path)  # fmt: skip
            return
        log = self._log.debug if quiet else self._log.info
        log("upload {upload} of {path} aborted: {reason}", upload=upload, path=path, reason=reason)
        self._reaper.wake()


def _answer(file: _File, failure: Failure) -> None:
    if not file.given_up and not file.answer.called:
        file.answer.errback(failure)


def _explained(file: _File, text: str) -> SplitdError:
    """Return the error of a file that nodes have failed."""
    full = all(isinstance(failure, NoSpace) for failure in file.failed.values())
    kind = NotEnoughSpace if full else UploadFailed
    return kind(text)
