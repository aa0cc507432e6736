"""Snapshots: they produce the same state, and replace the segments before them while writing continues."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from splitd.catalog.compaction import compact
from splitd.catalog.compactor import CompactionFailed, Compactor
from splitd.catalog.effects import apply
from splitd.catalog.journal.file import FileJournal
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.snapshot_records import records_of
from splitd.catalog.state import State
from splitd.errors import JournalDamaged
from splitd.model.manifest import Manifest
from splitd.model.records import (
    FileCommitted,
    JournalOpened,
    Record,
)
from storaged.system.filesystem import OSFilesystem
from tests.cluster.waiting import eventually
from tests.contract.filesystems import FailingFilesystem, PassingFilesystem
from tests.unit.histories import Completed, fold, steps, told

Make = Callable[..., FileJournal]


@settings(max_examples=500)
@given(st.lists(steps, max_size=40))
def test_the_records_of_a_state_come_to_that_state(some: list[Record | Completed]) -> None:
    state = fold(some)
    again = State()
    for record in records_of(state):
        apply(again, record)
    assert told(again) == told(state)


@settings(max_examples=500)
@given(st.lists(steps, max_size=40))
def test_a_state_counts_what_is_in_its_tree(some: list[Record | Completed]) -> None:
    state = fold(some)
    files = list(state.tree.files())
    names = Counter(manifest.upload for manifest in files if manifest.nodes)
    assert (state.files, state.bytes_stored) == (len(files), sum(manifest.size for manifest in files))
    assert len(state.tree) == len(list(state.tree.walk()))
    assert state.shared == {upload: count for upload, count in names.items() if count > 1}
    assert not names.keys() & state.doomed.uploads().keys(), "parts of a file that is there are never deleted"
    assert all(state.tree.lookup(lock.path) is not None for lock in state.locks)
    assert all(state.tree.lookup(path) is not None for path, _ in state.tree.all_properties())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def in_thread(pool: ThreadPool) -> Callable[[str, int], Deferred[None]]:
    """Return a compactor that runs in a thread of this process."""
    from twisted.internet import reactor

    return lambda folder, upcoming: deferToThreadPool(reactor, pool, compact, OSFilesystem(), folder, upcoming)


@pytest.fixture
def make(folder: Path, pool: ThreadPool) -> Make:
    from twisted.internet import reactor

    def make_journal(filesystem: PassingFilesystem | None = None, **options: Any) -> FileJournal:
        return FileJournal(
            str(folder), filesystem or PassingFilesystem(), pool, reactor, **{"segment_limit": 2000, **options}
        )

    return make_journal


@asynccontextmanager
async def opened(journal: FileJournal, state: State) -> AsyncIterator[FileJournal]:
    try:
        await journal.replay(partial(apply, state))
        yield journal
    finally:
        await journal.close()


async def write(journal: FileJournal, state: State, *some: Record) -> None:
    for record in some:
        await journal.append_all([record], durable=True)
        apply(state, record)


def overwrites(first: int, count: int) -> list[Record]:
    """Return `count` records that keep replacing the same names."""
    return [
        FileCommitted(f"/{number % 5}", Manifest(f"{number:032x}", 1, number, 6, 0, 4, ()))
        for number in range(first, first + count)
    ]


OPENED = JournalOpened(1, "c" * 32, 5)


async def reread(make: Make) -> State:
    state = State()
    async with opened(make(), state):
        return state


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.jsonl*"))


@pytest_twisted.ensureDeferred
async def test_a_journal_stays_as_short_as_what_it_comes_to(make: Make, in_thread: Any, folder: Path) -> None:
    state = State()
    async with opened(make(compactor=in_thread), state) as journal:
        for record in [OPENED, *overwrites(0, 1000)]:
            await write(journal, state, record)
            await eventually(lambda: not journal.statistics.compacting)
        found = journal.statistics
        assert found.compactions >= 10
        assert found.records == 1001
        assert found.size < 15_000  # more than 200,000 were written
        assert found.compaction_problem == ""
    # A compaction under way at the end may have left more than one of a kind; the next start removes it.
    assert told(await reread(make)) == told(state)
    left = names(folder)
    assert [name.partition("-")[0] for name in left].count("snapshot") == 1
    assert journal.statistics.segments <= len(left)


@pytest_twisted.ensureDeferred
async def test_writing_goes_on_while_a_snapshot_is_made(make: Make, folder: Path) -> None:
    asked: list[tuple[str, int, Deferred[None]]] = []

    def held(folder: str, upcoming: int) -> Deferred[None]:
        asked.append((folder, upcoming, Deferred()))
        return asked[-1][2]

    state = State()
    async with opened(make(compactor=held), state) as journal:
        await write(journal, state, OPENED, *overwrites(0, 60))
        [(_, upcoming, done)] = asked
        assert journal.statistics.compacting
        compact(OSFilesystem(), str(folder), upcoming)
        done.callback(None)
        await write(journal, state, *overwrites(100, 1))
        assert journal.statistics.compactions == 1
        assert not [name for name in names(folder) if name < f"journal-{upcoming:010}"]
        assert f"snapshot-{upcoming:010}.jsonl" in names(folder)
    assert told(await reread(make)) == told(state)


@pytest_twisted.ensureDeferred
async def test_a_snapshot_that_cannot_be_made_is_told_and_tried_again(make: Make, in_thread: Any) -> None:
    tries: list[int] = []

    def failing(folder: str, upcoming: int) -> Deferred[None]:
        tries.append(upcoming)
        if len(tries) < 3:
            raise OSError(28, "No space left on device")
        return in_thread(folder, upcoming)

    state = State()
    async with opened(make(compactor=failing), state) as journal:
        await write(journal, state, OPENED, *overwrites(0, 15))
        assert len(tries) == 1
        assert "No space left on device" in journal.statistics.compaction_problem
        await write(journal, state, *overwrites(15, 60))
        assert len(tries) >= 3
        await eventually(lambda: journal.statistics.compactions >= 1)
        assert journal.statistics.compaction_problem == ""
    assert told(await reread(make)) == told(state)


@pytest_twisted.ensureDeferred
async def test_a_snapshot_under_way_is_given_up_at_the_end_and_its_rest_removed(make: Make, folder: Path) -> None:
    given_up: list[Deferred[None]] = []

    def endless(_: str, upcoming: int) -> Deferred[None]:
        (folder / f"snapshot-{upcoming:010}.jsonl.new").write_text("half")
        return Deferred(given_up.append)

    state = State()
    async with opened(make(compactor=endless), state) as journal:
        await write(journal, state, OPENED, *overwrites(0, 30))
        assert not given_up
    assert len(given_up) == 1
    assert told(await reread(make)) == told(state)
    assert not [name for name in names(folder) if name.endswith(".new")]


@pytest_twisted.ensureDeferred
async def test_a_snapshot_removes_the_rest_of_one_that_was_killed(make: Make, folder: Path) -> None:
    state = State()
    async with opened(make(), state) as journal:
        await write(journal, state, OPENED, *overwrites(0, 40))
        rest = folder / "snapshot-0000000002.jsonl.new"
        rest.write_bytes(b"half of")
        _, upcoming = last_segment(folder)
        compact(OSFilesystem(), str(folder), upcoming)
        assert [name for name in names(folder) if name.startswith("snapshot")] == [f"snapshot-{upcoming:010}.jsonl"]
    assert told(await reread(make)) == told(state)


def last_segment(folder: Path) -> tuple[Path, int]:
    """Return the segment that is being written, and the number of its first record."""
    last = max(folder.glob("journal-*.jsonl"))
    return last, int(last.stem.partition("-")[2])


async def compacted(make: Make, folder: Path) -> tuple[State, Path]:
    """Make a journal with a snapshot and a segment after it."""
    state = State()
    async with opened(make(), state) as journal:
        await write(journal, state, OPENED, *overwrites(0, 20))
    _, upcoming = last_segment(folder)
    compact(OSFilesystem(), str(folder), upcoming)
    return state, folder / f"snapshot-{upcoming:010}.jsonl"


@pytest_twisted.ensureDeferred
async def test_what_a_snapshot_replaces_need_not_be_removed_at_once(make: Make, folder: Path) -> None:
    state, snapshot = await compacted(make, folder)
    before = names(folder)
    assert told(await reread(make)) == told(state)
    assert names(folder) == [before[-2], snapshot.name]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("keep", [0, 1, -1])
async def test_a_snapshot_that_is_not_whole_is_damage(make: Make, folder: Path, keep: int) -> None:
    _, snapshot = await compacted(make, folder)
    lines = snapshot.read_bytes().splitlines(keepends=True)
    snapshot.write_bytes(b"".join(lines[:keep]))
    before = names(folder)
    with pytest.raises(JournalDamaged, match=rf"{snapshot.name}, line \d+: the end of the snapshot is missing"):
        await reread(make)
    assert names(folder) == before


@pytest_twisted.ensureDeferred
async def test_a_wrong_line_in_a_snapshot_is_named(make: Make, folder: Path) -> None:
    _, snapshot = await compacted(make, folder)
    lines = snapshot.read_bytes().splitlines(keepends=True)
    snapshot.write_bytes(b"".join([*lines[:2], lines[2].replace(b"file", b"fill"), *lines[3:]]))
    with pytest.raises(JournalDamaged, match=rf"{snapshot.name}, line 3: record 3: its checksum"):
        await reread(make)


@pytest_twisted.ensureDeferred
async def test_a_snapshot_without_the_segments_behind_it_is_written_on(make: Make, folder: Path) -> None:
    state, snapshot = await compacted(make, folder)
    last_segment(folder)[0].unlink()
    upcoming = int(snapshot.stem.partition("-")[2])
    again = State()
    async with opened(make(), again) as journal:
        await write(journal, again, *overwrites(50, 1))
    assert names(folder) == [f"journal-{upcoming:010}.jsonl", snapshot.name]
    assert again.files == state.files


@pytest_twisted.ensureDeferred
async def test_only_what_is_before_the_record_is_read_for_a_snapshot(make: Make, folder: Path) -> None:
    await compacted(make, folder)
    last, upcoming = last_segment(folder)
    last.write_text("what is being written just now")
    reader = JournalReader(OSFilesystem(), str(folder), stop=upcoming)
    assert sum(len(batch.records) for batch in reader.batches()) > 0
    assert reader.sequence == upcoming
    last.unlink()
    with pytest.raises(JournalDamaged, match=f"no segment that ends with record {upcoming}"):
        list(JournalReader(OSFilesystem(), str(folder), stop=upcoming + 1).batches())


@pytest_twisted.ensureDeferred
async def test_a_journal_that_cannot_be_written_is_read(make: Make) -> None:
    state = State()
    async with opened(make(), state) as journal:
        await write(journal, state, OPENED, *overwrites(0, 5))
    for call in ("write", "sync", "rename", "sync_folder"):
        failing = FailingFilesystem()
        failing.fails = {call}
        again = State()
        async with opened(make(failing), again) as journal:
            assert told(again) == told(state)
            assert "the journal cannot be written" in journal.failure
    assert told(await reread(make)) == told(state)


@pytest_twisted.ensureDeferred
async def test_a_process_of_its_own_makes_the_snapshot(make: Make, folder: Path) -> None:
    from twisted.internet import reactor

    state = State()
    async with opened(make(), state) as journal:
        await write(journal, state, OPENED, *overwrites(0, 20))
    _, upcoming = last_segment(folder)
    await Compactor(reactor)(str(folder), upcoming)
    assert f"snapshot-{upcoming:010}.jsonl" in names(folder)
    assert told(await reread(make)) == told(state)


@pytest_twisted.ensureDeferred
async def test_a_process_that_finds_damage_says_where(make: Make, folder: Path) -> None:
    from twisted.internet import reactor

    _, first = await compacted(make, folder)
    first.write_bytes(first.read_bytes()[:-1])
    upcoming = int(first.stem.partition("-")[2])
    with pytest.raises(CompactionFailed, match=rf"{first.name}, line \d+: it has no newline"):
        await Compactor(reactor)(str(folder), upcoming)


@pytest_twisted.ensureDeferred
async def test_a_process_that_is_not_waited_for_any_more_ends(folder: Path) -> None:
    from twisted.internet import reactor

    ended: Deferred[Any] = Deferred()

    class Watched:
        def spawnProcess(self, protocol: Any, *args: Any, **kwargs: Any) -> Any:
            protocol.processEnded = ended.callback
            return reactor.spawnProcess(protocol, *args, **kwargs)  # type: ignore[attr-defined]

    making = Compactor(Watched())(str(folder), 2)
    making.cancel()
    with pytest.raises(CancelledError):
        await making
    with pytest.raises(ProcessTerminated) as told:
        await ended
    assert told.value.signal == signal.SIGKILL
