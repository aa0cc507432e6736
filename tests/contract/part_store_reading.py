"""The contract of part stores, first half: stored parts can be read and listed.

A module that runs it imports all of it, and gives it a fixture `provider`.
"""

from __future__ import annotations

from random import Random

import pytest
import pytest_twisted

from storaged.parts.errors import BadRequest, BadSpan, PartMissing
from storaged.parts.format import stored_size
from storaged.parts.values import PartInfo
from storaged.system.ranges import Span
from tests.contract.parts import (
    BAD_IDS,
    OTHER,
    PART,
    SIZES,
    UNIT,
    Provider,
    cut,
    encode,
    get,
    payload,
    put,
    read_on,
)

# Round trips


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("size", SIZES)
@pytest_twisted.ensureDeferred
async def test_what_is_stored_is_read_back(provider: Provider, size: int, announced: bool) -> None:
    data = encode(PART, payload(size))
    info = await put(provider.store, PART, [data], len(data) if announced else None)
    assert (info.part_id, info.stored_size) == (PART, stored_size(size, UNIT))
    assert await get(provider.store, PART) == data


@pytest.mark.parametrize("size", [0, 1, 8, 30])
@pytest_twisted.ensureDeferred
async def test_bytes_may_come_one_at_a_time(provider: Provider, size: int) -> None:
    data = encode(PART, payload(size), unit=8)
    await put(provider.store, PART, cut(data, 1))
    assert await get(provider.store, PART) == data


@pytest.mark.parametrize("seed", range(5))
@pytest_twisted.ensureDeferred
async def test_bytes_may_come_in_pieces_of_any_size(provider: Provider, seed: int) -> None:
    random = Random(seed)
    data = encode(PART, payload(50_000))
    ends = sorted(random.choices(range(len(data)), k=40))
    pieces = [data[start:stop] for start, stop in zip([0, *ends], [*ends, len(data)], strict=True)]
    await put(provider.store, PART, pieces)
    assert await get(provider.store, PART) == data


@pytest_twisted.ensureDeferred
async def test_parts_are_written_at_the_same_time(provider: Provider) -> None:
    one, other = encode(PART, payload(9000)), encode(OTHER, payload(8000))
    writers = [await provider.store.create(part_id, None) for part_id in (PART, OTHER)]
    for left, right in zip(cut(one, 500), cut(other, 500), strict=False):
        writers[0].write(left)
        writers[1].write(right)
    writers[0].write(one[len(cut(other, 500)) * 500 :])
    await writers[1].finish()
    await writers[0].finish()
    assert await get(provider.store, PART) == one
    assert await get(provider.store, OTHER) == other


@pytest_twisted.ensureDeferred
async def test_a_part_is_the_same_in_every_answer(provider: Provider) -> None:
    info = await put(provider.store, PART, [encode(PART, payload(5))])
    assert await provider.store.stat(PART) == info
    assert await provider.store.list_parts("", 10) == [info]


@pytest_twisted.ensureDeferred
async def test_a_part_is_not_there_before_it_is_finished(provider: Provider) -> None:
    data = encode(PART, payload(5))
    writer = await provider.store.create(PART, len(data))
    writer.write(data[:-1])
    with pytest.raises(PartMissing):
        await provider.store.stat(PART)
    with pytest.raises(PartMissing):
        await provider.store.open(PART, None)
    assert await provider.store.list_parts("", 10) == []
    writer.write(data[-1:])
    await writer.finish()


# Reading


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 700_000), (64, 1068), (300_000, 650_001), (702_000, 702_896)])
@pytest_twisted.ensureDeferred
async def test_a_span_is_read(provider: Provider, start: int, stop: int) -> None:
    data = encode(PART, payload(700_000))
    assert len(data) == 702_896
    await put(provider.store, PART, [data])
    assert await get(provider.store, PART, Span(start, stop)) == data[start:stop]


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 0), (5, 5), (6, 5), (-1, 5), (0, 102), (101, 102), (10**18, 10**18 + 1)]
)
@pytest_twisted.ensureDeferred
async def test_a_span_that_is_empty_or_not_inside_the_part_is_refused(
    provider: Provider, start: int, stop: int
) -> None:
    data = encode(PART, b"x")
    assert len(data) == 101
    await put(provider.store, PART, [data])
    with pytest.raises(BadSpan):
        await provider.store.open(PART, Span(start, stop))


@pytest_twisted.ensureDeferred
async def test_a_part_is_read_by_several_at_once(provider: Provider) -> None:
    data = encode(PART, payload(600_000))
    await put(provider.store, PART, [data])
    readers = [await provider.store.open(PART, None) for _ in range(3)]
    assert [await read_on(reader) for reader in readers] == [data] * 3


@pytest_twisted.ensureDeferred
async def test_reading_goes_on_after_the_part_was_removed(provider: Provider) -> None:
    data = encode(PART, payload(1_500_000))
    await put(provider.store, PART, [data])
    reader = await provider.store.open(PART, None)
    first = await reader.read()
    assert await provider.store.remove(PART)
    assert first + await read_on(reader) == data


@pytest_twisted.ensureDeferred
async def test_a_reader_may_be_closed_in_the_middle_and_again(provider: Provider) -> None:
    data = encode(PART, payload(1_500_000))
    await put(provider.store, PART, [data])
    reader = await provider.store.open(PART, None)
    assert data.startswith(await reader.read())
    reader.close()
    reader.close()
    assert await get(provider.store, PART) == data


# Missing parts, and requests that are not allowed


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_missing_cannot_be_read_or_looked_at(provider: Provider) -> None:
    await put(provider.store, OTHER, [encode(OTHER, b"")])
    with pytest.raises(PartMissing):
        await provider.store.open(PART, None)
    with pytest.raises(PartMissing):
        await provider.store.open(PART, Span(0, 1))
    with pytest.raises(PartMissing):
        await provider.store.stat(PART)


@pytest.mark.parametrize("part_id", BAD_IDS)
@pytest_twisted.ensureDeferred
async def test_what_is_not_a_part_id_is_refused(provider: Provider, part_id: str) -> None:
    store = provider.store
    for ask in (
        lambda: store.create(part_id, None),
        lambda: store.open(part_id, None),
        lambda: store.stat(part_id),
        lambda: store.remove(part_id),
        lambda: store.trash(part_id),
    ):
        with pytest.raises(BadRequest):
            await ask()


# Listing


@pytest_twisted.ensureDeferred
async def test_parts_are_listed_page_by_page_in_the_order_of_their_ids(provider: Provider) -> None:
    uploads = [digits * 16 for digits in ("ff", "00", "3f", "40", "3e")]
    part_ids = [f"{upload}.{index}" for upload in uploads for index in (10, 2, 0)]
    infos = {part_id: await put(provider.store, part_id, [encode(part_id, b"")]) for part_id in part_ids}
    for limit in (1, 2, 4, 15, 10_000):
        listed: list[PartInfo] = []
        while page := await provider.store.list_parts(listed[-1].part_id if listed else "", limit):
            assert len(page) <= limit
            listed += page
        assert listed == [infos[part_id] for part_id in sorted(part_ids)]


@pytest.mark.parametrize(
    ("after", "first"), [("", 0), ("0", 0), ("3f", 1), ("3f" * 16, 1), ("4", 2), ("f~&limit=1", 2), ("é", 2)]
)
@pytest_twisted.ensureDeferred
async def test_a_page_may_begin_after_any_text(provider: Provider, after: str, first: int) -> None:
    part_ids = ["0f" * 16 + ".0", "3f" * 16 + ".0"]
    for part_id in part_ids:
        await put(provider.store, part_id, [encode(part_id, b"")])
    assert [info.part_id for info in await provider.store.list_parts(after, 10)] == part_ids[first:]


@pytest.mark.parametrize("limit", [-1, 0, 10_001])
@pytest_twisted.ensureDeferred
async def test_a_page_that_is_empty_or_too_long_is_refused(provider: Provider, limit: int) -> None:
    with pytest.raises(BadRequest):
        await provider.store.list_parts("", limit)
