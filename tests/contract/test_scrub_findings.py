"""The scrub finds every kind of rot, and nothing else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from storaged.packs.format import ENTRY_SIZE
from storaged.parts.format import FOOTER_SIZE, HEADER_SIZE, SMALL_PART
from storaged.system.filesystem import OSFilesystem
from tests.contract.disks import started_disk
from tests.contract.parts import encode, get_small, payload, put, remove_small
from tests.contract.scrubbing import (
    LARGE,
    LARGE_IDS,
    SMALL_IDS,
    CountingFilesystem,
    file_of,
    fill,
    flip,
    lose_index,
    pack_in,
    pass_time,
    rotten,
    scrubbed,
    whole_pass,
)

STORED = len(encode(LARGE_IDS[0], payload(LARGE)))


@pytest.mark.parametrize(
    "offset",
    [0, 20, HEADER_SIZE, HEADER_SIZE + 1000, STORED // 2, STORED - FOOTER_SIZE - 1, STORED - FOOTER_SIZE, STORED - 1],
)
@pytest_twisted.ensureDeferred
async def test_a_flipped_bit_in_any_place_of_a_part_is_found(tmp_path: Path, pool: ThreadPool, offset: int) -> None:
    clock, part_id = Clock(), LARGE_IDS[1]
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        flip(file_of(tmp_path, part_id), offset)
        await whole_pass(store, clock)
        [found] = await store.rotten("", 10)
        assert found.part_id == part_id
        assert part_id in found.reason
        assert file_of(tmp_path, part_id).exists(), "the node has deleted it"
        assert (await store.info()).scrub.rotten == 1


@pytest.mark.parametrize("size", [0, 1, HEADER_SIZE, STORED - 1, STORED + 1])
@pytest_twisted.ensureDeferred
async def test_a_part_of_another_length_is_found(tmp_path: Path, pool: ThreadPool, size: int) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        os.truncate(file_of(tmp_path, LARGE_IDS[2]), size)
        await whole_pass(store, clock)
        assert await rotten(store) == [LARGE_IDS[2]]


@pytest.mark.parametrize("offset", [0, 30, HEADER_SIZE, HEADER_SIZE + 1200, -FOOTER_SIZE, -1])
@pytest_twisted.ensureDeferred
async def test_a_flipped_bit_in_a_packed_part_is_found(tmp_path: Path, pool: ThreadPool, offset: int) -> None:
    clock, part_id = Clock(), SMALL_IDS[3]
    data = encode(part_id, payload(2500))
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        pack = pack_in(tmp_path)
        flip(pack, pack.read_bytes().index(data) + offset % len(data))
        await whole_pass(store, clock)
        [found] = await store.rotten("", 10)
        assert found.part_id == part_id
        for other in SMALL_IDS[:3] + SMALL_IDS[4:]:
            assert await get_small(store, other) == encode(other, payload(2500))


@pytest_twisted.ensureDeferred
async def test_a_part_whose_entry_in_the_pack_is_damaged_is_written_again(tmp_path: Path, pool: ThreadPool) -> None:
    clock, part_id = Clock(), SMALL_IDS[3]
    data = encode(part_id, payload(2500))
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        pack = pack_in(tmp_path)
        flip(pack, pack.read_bytes().index(data) - ENTRY_SIZE + 5)
        await whole_pass(store, clock)
        assert await rotten(store) == []
        assert await get_small(store, part_id) == data
    lose_index(tmp_path)
    async with started_disk(tmp_path, OSFilesystem(), pool, Clock()) as store:
        assert await get_small(store, part_id) == data, "without its index, the node has lost the part"


@pytest.mark.parametrize("keep", [0, 100, 9000], ids=["empty", "its beginning", "half"])
@pytest_twisted.ensureDeferred
async def test_the_parts_of_a_pack_that_was_cut_are_found(tmp_path: Path, pool: ThreadPool, keep: int) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        whole = pack_in(tmp_path).read_bytes()
        os.truncate(pack_in(tmp_path), keep)
        await whole_pass(store, clock)
        lost = [each for each in SMALL_IDS if encode(each, payload(2500)) not in whole[:keep]]
        assert lost
        assert await rotten(store) == lost


@pytest_twisted.ensureDeferred
async def test_the_parts_of_a_pack_that_is_gone_are_found(tmp_path: Path, pool: ThreadPool) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
    pack_in(tmp_path).unlink()
    async with scrubbed(tmp_path, pool, clock) as store:
        await whole_pass(store, clock)
        assert await rotten(store) == SMALL_IDS


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADMSG, errno.EUCLEAN])
@pytest_twisted.ensureDeferred
async def test_parts_that_the_disk_cannot_read_are_found(tmp_path: Path, pool: ThreadPool, number: int) -> None:
    clock, filesystem = Clock(), CountingFilesystem()
    async with scrubbed(tmp_path, pool, clock, filesystem) as store:
        await fill(store)
        filesystem.fails = {LARGE_IDS[1]: number, ".pack": number}
        await whole_pass(store, clock)
        assert sorted(await rotten(store)) == sorted([LARGE_IDS[1], *SMALL_IDS])
        assert os.strerror(number) in (await store.rotten("", 1))[0].reason
        filesystem.fails = {}
        await whole_pass(store, clock)
        assert await rotten(store) == [], "they can be read again, and are good"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EACCES, errno.ESTALE])
@pytest_twisted.ensureDeferred
async def test_an_error_that_says_nothing_about_the_bytes_is_no_finding(
    tmp_path: Path, pool: ThreadPool, number: int
) -> None:
    clock, filesystem = Clock(), CountingFilesystem()
    async with scrubbed(tmp_path, pool, clock, filesystem) as store:
        await fill(store)
        filesystem.fails = {LARGE_IDS[1]: number, ".pack": number}
        flip(file_of(tmp_path, LARGE_IDS[2]), 100)
        await whole_pass(store, clock)
        assert await rotten(store) == [LARGE_IDS[2]], "the others are scrubbed all the same"


@pytest_twisted.ensureDeferred
async def test_a_part_that_was_deleted_or_mended_is_not_rotten_any_more(tmp_path: Path, pool: ThreadPool) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        pack = pack_in(tmp_path)
        for part_id in LARGE_IDS:
            flip(file_of(tmp_path, part_id), 100)
        for part_id in SMALL_IDS:
            flip(pack, pack.read_bytes().index(encode(part_id, payload(2500))) + 100)
        await whole_pass(store, clock)
        assert sorted(await rotten(store)) == sorted(LARGE_IDS + SMALL_IDS)
        assert await remove_small(store, SMALL_IDS[0])
        assert await store.remove(LARGE_IDS[0])
        assert await store.trash(LARGE_IDS[1])
        await put(store, LARGE_IDS[0], [encode(LARGE_IDS[0], payload(LARGE))])
        file_of(tmp_path, LARGE_IDS[2]).write_bytes(encode(LARGE_IDS[2], payload(LARGE)))
        file_of(tmp_path, LARGE_IDS[3]).unlink()
        flip(pack, _offset_of(pack, SMALL_IDS[1]))
        await whole_pass(store, clock)
        assert await rotten(store) == SMALL_IDS[2:]


def _offset_of(pack: Path, part_id: str) -> int:
    """Return the offset of the flipped byte of a part in its pack."""
    good = encode(part_id, payload(2500))
    return pack.read_bytes().index(good[:100]) + 100


@pytest_twisted.ensureDeferred
async def test_a_large_part_that_is_deleted_while_it_is_read_is_no_finding(tmp_path: Path, pool: ThreadPool) -> None:
    clock, part_id = Clock(), LARGE_IDS[0]
    async with scrubbed(tmp_path, pool, clock) as store:
        await put(store, part_id, [encode(part_id, payload(4 * SMALL_PART), unit=SMALL_PART)])
        before = store.scrubber.report().ended_ms
        await pass_time(clock, lambda: store.scrubber.report().ended_ms != before, 5.0)
        read = store.scrubber.report().scrubbed_bytes
        await pass_time(clock, lambda: store.scrubber.report().scrubbed_bytes > read, 0.1)
        assert await store.remove(part_id)
        await whole_pass(store, clock)
        assert await rotten(store) == []
