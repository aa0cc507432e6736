"""The contract of `IPartChecks`: parts are looked at, many at a time, and rotten ones are listed."""

from __future__ import annotations

import pytest
import pytest_twisted

from storaged.parts.errors import BadRequest, PartDamaged, PartMissing
from storaged.parts.format import HEADER_SIZE, SMALL_PART
from storaged.parts.values import PartLook
from storaged.parts.wire import LOOK_LIMIT
from tests.contract.parts import BAD_IDS, OTHER, PART, UNIT, Provider, encode, payload, put, put_small, remove_small

THIRD = "4" + PART[1:]


@pytest.mark.parametrize("size", [0, 1, UNIT, SMALL_PART])
@pytest_twisted.ensureDeferred
async def test_a_part_tells_its_size_and_its_unit(provider: Provider, size: int) -> None:
    data = encode(PART, payload(size), unit=UNIT)
    await put(provider.store, PART, [data])
    assert await provider.store.look_all([PART]) == [PartLook(PART, len(data), UNIT)]


@pytest_twisted.ensureDeferred
async def test_parts_are_looked_at_in_any_order_and_one_that_is_missing_does_not_matter(provider: Provider) -> None:
    small, large = encode(OTHER, payload(10), unit=7), encode(PART, payload(SMALL_PART))
    await put_small(provider.store, OTHER, small)
    await put(provider.store, PART, [large])
    looks = await provider.store.look_all([THIRD, PART, OTHER, PART])
    assert isinstance(looks[0], PartMissing)
    assert looks[1:] == [
        PartLook(PART, len(large), UNIT),
        PartLook(OTHER, len(small), 7),
        PartLook(PART, len(large), UNIT),
    ]


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
@pytest.mark.parametrize("offset", [0, 9, 13, 40, HEADER_SIZE - 1])
@pytest_twisted.ensureDeferred
async def test_a_header_that_is_wrong_is_seen(provider: Provider, offset: int, small: bool) -> None:
    data = encode(PART, payload(UNIT if small else SMALL_PART))
    await (put_small(provider.store, PART, data) if small else put(provider.store, PART, [data]))
    provider.spoil(PART, offset)
    [look] = await provider.store.look_all([PART])
    assert isinstance(look, PartDamaged)
    assert PART in look.reason


@pytest_twisted.ensureDeferred
async def test_a_look_reads_nothing_but_the_header(provider: Provider) -> None:
    data = encode(PART, payload(SMALL_PART))
    await put(provider.store, PART, [data])
    provider.spoil(PART, HEADER_SIZE)
    assert await provider.store.look_all([PART]) == [PartLook(PART, len(data), UNIT)]


@pytest.mark.parametrize("part_id", BAD_IDS)
@pytest_twisted.ensureDeferred
async def test_a_look_at_what_is_no_part_id_is_refused(provider: Provider, part_id: str) -> None:
    await put_small(provider.store, PART, encode(PART, b"x"))
    refused, seen = await provider.store.look_all([part_id, PART])
    assert isinstance(refused, BadRequest)
    assert isinstance(seen, PartLook)


@pytest_twisted.ensureDeferred
async def test_only_so_many_parts_are_looked_at_at_once(provider: Provider) -> None:
    assert await provider.store.look_all([]) == []
    assert len(await provider.store.look_all([PART] * LOOK_LIMIT)) == LOOK_LIMIT
    with pytest.raises(BadRequest):
        await provider.store.look_all([PART] * (LOOK_LIMIT + 1))


# Rotten parts


@pytest_twisted.ensureDeferred
async def test_rotten_parts_are_listed_page_by_page(provider: Provider) -> None:
    store = provider.store
    assert await store.rotten("", 10) == []
    for part_id in (THIRD, PART, OTHER):
        await put_small(store, part_id, encode(part_id, b"x"))
        provider.note_rot(part_id, f"part {part_id}: unit 7")
    assert (await store.info()).scrub.rotten == 3
    first = await store.rotten("", 2)
    assert [(part.part_id, part.reason) for part in first] == [(each, f"part {each}: unit 7") for each in (PART, OTHER)]
    assert [part.part_id for part in await store.rotten(OTHER, 2)] == [THIRD]
    assert await store.rotten(THIRD, 10_000) == []


@pytest.mark.parametrize("limit", [-1, 0, 10_001])
@pytest_twisted.ensureDeferred
async def test_a_page_of_rotten_parts_that_is_empty_or_too_long_is_refused(provider: Provider, limit: int) -> None:
    with pytest.raises(BadRequest):
        await provider.store.rotten("", limit)


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_gone_is_not_rotten_any_more(provider: Provider) -> None:
    store = provider.store
    for part_id in (PART, OTHER, THIRD):
        await put_small(store, part_id, encode(part_id, b"x"))
        provider.note_rot(part_id, "rotten")
    assert await store.remove(PART)
    assert await store.trash(OTHER)
    assert [part.part_id for part in await store.rotten("", 10)] == [THIRD]
    assert await remove_small(store, THIRD)
    assert await store.rotten("", 10) == []
    assert (await store.info()).scrub.rotten == 0


# The pause of the scrub


@pytest_twisted.ensureDeferred
async def test_the_scrub_is_paused_and_resumed_and_the_node_tells_it(provider: Provider) -> None:
    store = provider.store
    assert not (await store.info()).scrub.paused
    for paused in (True, True, False, False):
        assert (await store.pause_scrub(paused=paused)).paused is paused
        assert (await store.info()).scrub.paused is paused
