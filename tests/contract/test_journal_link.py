"""A journal's link, and the epoch by which a node refuses fronts that another one has taken over from."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from storaged.parts.client import RemotePartStore
from storaged.parts.client.journal import JournalLink, encode_append
from storaged.parts.errors import BadRequest, NodeUnavailable, StoragedError, TakenOver
from storaged.parts.journals import Append, Claim, CopyState, Roster, Run
from storaged.system.filesystem import OSFilesystem
from tests.contract.filesystems import FailingFilesystem, HeldFilesystem
from tests.contract.nodes import started_node
from tests.contract.parts import PART, encode, payload

OLD, NEW, RUN = "a" * 16, "b" * 16, "c" * 16


class Front:
    """A front's link to a node, and what it was answered."""

    def __init__(self, remote: RemotePartStore) -> None:
        self.remote = remote
        self.durable: Deferred[int] = Deferred()
        self.lost: Deferred[StoragedError] = Deferred()
        self.link = JournalLink(self._appended, self.lost.callback)

    def _appended(self, upcoming: int) -> None:
        durable, self.durable = self.durable, Deferred()
        durable.callback(upcoming)

    async def open(self, epoch: int, front: str) -> CopyState:
        await self.remote.connect_journal(self.link)
        return await self.link.open(epoch, front, RUN)

    async def append(self, first: int, epoch: int = 1) -> int:
        durable = self.durable
        self.link.append(encode_append(Append(first, epoch, first, 1, b"line %d\n" % first)))
        return await durable


@pytest_twisted.ensureDeferred
async def test_a_front_claims_an_epoch_and_appends(tmp_path: Path, pool: ThreadPool) -> None:
    async with started_node(tmp_path, OSFilesystem(), pool, Clock()) as remote:
        roster = Roster(1, 1, 3, ("n1", "n2"))
        standing = await remote.claim(Claim(1, OLD, RUN, 0, roster=roster, look=True))
        assert (standing.epoch, standing.front, standing.roster, standing.copy) == (1, OLD, roster, CopyState())
        front = Front(remote)
        assert await front.open(1, OLD) == CopyState()
        assert [await front.append(1), await front.append(2)] == [2, 3]
        assert await front.link.trim(2) == 2
        standing = await remote.claim(Claim(1, OLD, RUN, 0, look=True))
        assert standing.copy == CopyState(2, runs=(Run(1, 1, 1),))


@pytest_twisted.ensureDeferred
async def test_an_old_front_changes_nothing_after_a_claim(tmp_path: Path, pool: ThreadPool) -> None:
    async with started_node(tmp_path, OSFilesystem(), pool, Clock(), epoch=lambda: 1) as remote:
        await remote.claim(Claim(1, OLD, RUN, 0))
        front = Front(remote)
        await front.open(1, OLD)
        await front.append(1)
        await remote.put_all([(PART, encode(PART, payload(10)))])
        standing = await remote.claim(Claim(2, NEW, RUN, 1, any_front=True, look=True))
        assert standing.copy == CopyState(2, runs=(Run(1, 1, 1),))
        front.link.append(encode_append(Append(2, 1, 2, 1, b"late\n")))
        lost = await front.lost
        assert isinstance(lost, TakenOver)
        assert str(lost) == f"front {NEW} has taken over with epoch 2: a front of epoch 1 may change nothing any more"
        again = await remote.claim(Claim(2, NEW, RUN, 1, look=True))
        assert again.copy == standing.copy
        for refused in (
            remote.remove(PART),
            remote.trash(PART),
            remote.claim(Claim(1, OLD, RUN, 0)),
            remote.claim(Claim(3, OLD, RUN, 2)),
            Front(remote).open(1, OLD),
        ):
            with pytest.raises(TakenOver):
                await refused
        [stored] = await remote.put_all([(PART, encode(PART, payload(10)))])
        assert isinstance(stored, TakenOver)
        writer = await remote.create(PART, None)
        writer.write(encode(PART, payload(10)))
        with pytest.raises(TakenOver):
            await writer.finish()
        assert await remote.get_all([PART]) == [encode(PART, payload(10))]  # reading is no change


@pytest_twisted.ensureDeferred
async def test_an_epoch_that_another_front_has_or_that_was_not_known_cannot_be_claimed(
    tmp_path: Path, pool: ThreadPool
) -> None:
    async with started_node(tmp_path, OSFilesystem(), pool, Clock()) as remote:
        await remote.claim(Claim(5, OLD, RUN, 0))
        for refused in (
            Claim(5, NEW, RUN, 5, any_front=True),
            Claim(6, NEW, RUN, 5),
            Claim(6, NEW, RUN, 4, any_front=True),
            Claim(6, OLD, RUN, 4),
            Claim(4, OLD, RUN, 9),
        ):
            with pytest.raises(TakenOver):
                await remote.claim(refused)
        assert (await remote.claim(Claim(6, OLD, RUN, 5))).epoch == 6
        assert (await remote.claim(Claim(9, NEW, RUN, 8, any_front=True))).front == NEW


@pytest_twisted.ensureDeferred
async def test_the_newest_connection_writes_the_copy(tmp_path: Path, pool: ThreadPool) -> None:
    async with started_node(tmp_path, OSFilesystem(), pool, Clock()) as remote:
        await remote.claim(Claim(1, OLD, RUN, 0))
        first, second = Front(remote), Front(remote)
        await first.open(1, OLD)
        await first.append(1)
        assert (await second.open(1, OLD)).next == 2
        first.link.append(encode_append(Append(2, 1, 2, 1, b"from the old connection\n")))
        assert isinstance(await first.lost, BadRequest)
        assert await second.append(2) == 3


@pytest_twisted.ensureDeferred
async def test_an_append_that_does_not_follow_is_refused(tmp_path: Path, pool: ThreadPool) -> None:
    async with started_node(tmp_path, OSFilesystem(), pool, Clock()) as remote:
        await remote.claim(Claim(1, OLD, RUN, 0))
        front = Front(remote)
        await front.open(1, OLD)
        await front.append(1)
        front.link.append(encode_append(Append(3, 1, 3, 1, b"after a gap\n")))
        assert str(await front.lost) == "record 3 to append, and the copy ends before record 2"


@pytest_twisted.ensureDeferred
async def test_an_append_that_cannot_be_synced_is_reported(tmp_path: Path, pool: ThreadPool) -> None:
    disk = FailingFilesystem()
    async with started_node(tmp_path, OSFilesystem(), pool, Clock(), journal_disk=disk) as remote:
        await remote.claim(Claim(1, OLD, RUN, 0))
        front = Front(remote)
        await front.open(1, OLD)
        await front.append(1)
        disk.fails = {"sync"}
        front.link.append(encode_append(Append(2, 1, 2, 1, b"line 2\n")))
        lost = await front.lost
        assert isinstance(lost, NodeUnavailable)
        assert str(lost) == "the copy of the journal: Input/output error (EIO)"


@pytest_twisted.ensureDeferred
async def test_appends_that_come_while_one_is_written_get_one_answer_after_it(tmp_path: Path, pool: ThreadPool) -> None:
    from twisted.internet import reactor

    disk = HeldFilesystem()
    async with started_node(tmp_path, OSFilesystem(), pool, Clock(), journal_disk=disk) as remote:
        await remote.claim(Claim(1, OLD, RUN, 0))
        front = Front(remote)
        await front.open(1, OLD)
        await front.append(1)
        disk.hold_from_now_on("write")
        front.link.append(encode_append(Append(2, 1, 2, 1, b"line 2\n")))
        await deferToThreadPool(reactor, pool, disk.waiting.wait)
        more = [piece for first in (3, 4, 5) for piece in encode_append(Append(first, 1, first, 1, b"line\n"))]
        durable = front.durable
        front.link.append(more)
        disk.let_go.set()
        assert await durable == 3
        assert await front.durable == 6


@pytest_twisted.ensureDeferred
async def test_the_epoch_is_remembered(tmp_path: Path, pool: ThreadPool) -> None:
    async with started_node(tmp_path, OSFilesystem(), pool, Clock()) as remote:
        await remote.claim(Claim(7, NEW, RUN, 0, roster=Roster(7, 3, 3, ("n1",))))
    async with started_node(tmp_path, OSFilesystem(), pool, Clock()) as remote:
        with pytest.raises(TakenOver):
            await remote.claim(Claim(1, OLD, RUN, 0))
        standing = await remote.claim(Claim(7, NEW, RUN, 0, roster=Roster(7, 2, 3, ("n2",))))
        assert standing.roster == Roster(7, 3, 3, ("n1",))
