"""The contract of `ISmallPartStore`: small parts are stored and read whole."""

from __future__ import annotations

import pytest
import pytest_twisted

from storaged.parts.errors import BadPart, BadRequest, NoSpace, PartExists, PartMissing
from storaged.parts.format import SMALL_PART
from storaged.parts.values import PartInfo
from tests.contract.parts import (
    BAD_IDS,
    OTHER,
    PART,
    Provider,
    encode,
    flip,
    get,
    get_small,
    nothing_is_kept,
    payload,
    put,
    put_small,
    remove_small,
)

MANY = [f"{number:032x}.{number % 6}" for number in range(300)]


@pytest.mark.parametrize("size", [0, 1, 683, 1000, 5001, 60_000])
@pytest_twisted.ensureDeferred
async def test_a_small_part_is_stored_and_comes_back_by_either_way(provider: Provider, size: int) -> None:
    data = encode(PART, payload(size))
    info = await put_small(provider.store, PART, data)
    assert (info.part_id, info.stored_size) == (PART, len(data))
    assert await get_small(provider.store, PART) == data
    assert await get(provider.store, PART) == data
    assert await provider.store.stat(PART) == info
    assert await provider.store.list_parts("", 10) == [info]


@pytest_twisted.ensureDeferred
async def test_a_small_part_that_was_streamed_in_can_be_got_whole(provider: Provider) -> None:
    data = encode(PART, payload(3000))
    await put(provider.store, PART, [data])
    assert await get_small(provider.store, PART) == data


@pytest_twisted.ensureDeferred
async def test_many_are_put_got_and_removed_at_once(provider: Provider) -> None:
    parts = [(part_id, encode(part_id, payload(number))) for number, part_id in enumerate(MANY)]
    infos = await provider.store.put_all(parts)
    assert await provider.store.list_parts("", 1000) == infos
    assert await provider.store.list_parts(MANY[99], 100) == infos[100:200]
    assert await provider.store.get_all(MANY) == [data for _, data in parts]
    assert await provider.store.remove_all(MANY[::2]) == [True] * 150
    assert await provider.store.list_parts("", 1000) == infos[1::2]
    assert await provider.store.remove_all(MANY[:2]) == [False, True]


@pytest_twisted.ensureDeferred
async def test_parts_of_both_kinds_are_listed_in_one_order(provider: Provider) -> None:
    for number, part_id in enumerate(MANY[:20]):
        data = encode(part_id, payload(number))
        await (put_small(provider.store, part_id, data) if number % 3 else put(provider.store, part_id, [data]))
    assert [part.part_id for part in await provider.store.list_parts("", 100)] == MANY[:20]
    assert [part.part_id for part in await provider.store.list_parts(MANY[4], 7)] == MANY[5:12]


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_there_is_left_as_it_is(provider: Provider) -> None:
    data = encode(PART, b"abc")
    await put_small(provider.store, PART, data)
    with pytest.raises(PartExists, match=PART):
        await put_small(provider.store, PART, encode(PART, b"xyz"))
    with pytest.raises(PartExists):
        await put(provider.store, PART, [encode(PART, b"xyz")])
    await put(provider.store, OTHER, [encode(OTHER, b"abc")])
    with pytest.raises(PartExists):
        await put_small(provider.store, OTHER, encode(OTHER, b"xyz"))
    assert await get_small(provider.store, PART) == data
    [_, two] = await provider.store.put_all([(MANY[0], encode(MANY[0], b"abc")), (MANY[0], encode(MANY[0], b"xyz"))])
    assert isinstance(two, PartExists)
    assert await get_small(provider.store, MANY[0]) == encode(MANY[0], b"abc")


@pytest_twisted.ensureDeferred
async def test_what_is_not_one_whole_good_part_is_not_kept(provider: Provider) -> None:
    data = encode(PART, payload(2500))
    for bad in (
        b"",
        data[:-1],
        data + b"\0",
        encode(OTHER, payload(2500)),
        *(flip(data, 8 * at) for at in (0, 70, 2600)),
    ):
        with pytest.raises(BadPart, match=PART):
            await put_small(provider.store, PART, bad)
    await nothing_is_kept(provider)
    await put_small(provider.store, PART, data)


@pytest_twisted.ensureDeferred
async def test_one_that_is_wrong_does_no_harm_to_the_others(provider: Provider) -> None:
    good = encode(PART, b"abc")
    large = encode(OTHER, bytes(SMALL_PART))
    outcomes = await provider.store.put_all([(OTHER, large), (PART, good), (OTHER, good), ("x", b"")])
    assert [type(outcome).__name__ for outcome in outcomes] == ["BadRequest", "PartInfo", "BadPart", "BadRequest"]
    outcomes_of_get = await provider.store.get_all([OTHER, PART, "x"])
    assert [type(outcome).__name__ for outcome in outcomes_of_get] == ["PartMissing", "bytes", "BadRequest"]
    outcomes_of_remove = await provider.store.remove_all([PART, "x", OTHER])
    assert [getattr(outcome, "args", outcome) and True for outcome in outcomes_of_remove] == [True, True, False]


@pytest_twisted.ensureDeferred
async def test_a_large_part_is_not_got_whole(provider: Provider) -> None:
    await put(provider.store, PART, [encode(PART, bytes(SMALL_PART))])
    with pytest.raises(BadRequest, match="a small part has at most"):
        await get_small(provider.store, PART)


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest_twisted.ensureDeferred
async def test_an_id_that_is_none_is_refused(provider: Provider, bad: str) -> None:
    for ask in (lambda: put_small(provider.store, bad, b""), lambda: get_small(provider.store, bad),
                lambda: remove_small(provider.store, bad)):  # fmt: skip
        with pytest.raises(BadRequest, match="not a part id"):
            await ask()


@pytest_twisted.ensureDeferred
async def test_a_small_part_that_is_removed_before_it_comes_does_not_come(provider: Provider) -> None:
    assert await remove_small(provider.store, PART) is False
    with pytest.raises(PartMissing):
        await put_small(provider.store, PART, encode(PART, b"abc"))


@pytest_twisted.ensureDeferred
async def test_small_parts_are_refused_where_there_is_no_room(provider: Provider) -> None:
    data = payload(60_000)
    outcomes = [(await provider.store.put_all([(part_id, encode(part_id, data))]))[0] for part_id in MANY[:80]]
    stored = [outcome.stored_size for outcome in outcomes if isinstance(outcome, PartInfo)]
    assert provider.capacity * 0.9 < sum(stored) <= provider.capacity
    assert all(isinstance(outcome, NoSpace) for outcome in outcomes[len(stored) :])
