"""The contract of part stores, second half: refused, aborted and removed parts, and room.

A module that runs it imports all of it, and gives it two fixtures: `provider`, and `slow_provider`, whose writes wait.

A remote store may refuse a part only after bytes were sent (`storaged.parts.client`), and cleans up asynchronously
after an abort.  So if a part is refused, a test checks all of `put`, not only `create`; and room is polled until it is
as expected.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from storaged.parts.errors import BadPart, NoSpace, PartExists, PartMissing, StoragedError
from storaged.parts.format import PartEncoder, parse_part_id, stored_size
from tests.contract.parts import (
    CLUSTER,
    NODE_ID,
    OTHER,
    PART,
    PATIENCE,
    UNIT,
    Producer,
    Provider,
    SlowProvider,
    cut,
    encode,
    flip,
    get,
    get_small,
    nothing_is_kept,
    payload,
    put,
    put_small,
    reach_free,
)

# Parts that are not good


def _bad_parts() -> dict[str, tuple[bytes, int | None]]:
    data = encode(PART, payload(3 * UNIT + 1))
    size = len(data)
    bad: dict[str, tuple[bytes, int | None]] = {
        "the body of another part": (encode(OTHER, payload(3 * UNIT + 1)), size),
        "a byte too many": (data + b"\0", None),
        "twice the part": (data * 2, None),
        "no part at all": (b"splitd" * 100, None),
        "more announced": (data, size + 1),
        "less announced": (data, size - 1),
    }
    for kept in (0, 1, 63, 64, 64 + UNIT, 64 + UNIT + 4, size - 36, size - 32, size - 1):
        bad[f"torn after {kept} bytes"] = (data[:kept], None)
        bad[f"torn after {kept} bytes, announced whole"] = (data[:kept], size)
    for byte in (0, 20, 63, 64, 64 + UNIT, 64 + UNIT + 4, size - 36, size - 32, size - 1):
        bad[f"a bit of byte {byte} flipped"] = (flip(data, byte * 8 + 3), size)
    return bad


@pytest.mark.parametrize("name", _bad_parts())
@pytest_twisted.ensureDeferred
async def test_what_is_not_one_good_part_is_refused_and_not_kept(provider: Provider, name: str) -> None:
    data, stored = _bad_parts()[name]
    with pytest.raises(BadPart):
        await put(provider.store, PART, cut(data, 700), stored)
    await nothing_is_kept(provider)


@pytest_twisted.ensureDeferred
async def test_a_bad_part_shows_before_it_is_finished(provider: Provider) -> None:
    writer = await provider.store.create(PART, None)
    writer.write(bytes(1000))
    assert isinstance(await writer.when_broken(), BadPart)
    assert isinstance(await writer.when_broken(), BadPart)  # whoever asks late hears it too
    writer.write(encode(PART, b""))
    with pytest.raises(BadPart):
        await writer.finish()
    await writer.abort()
    await nothing_is_kept(provider)


@pytest_twisted.ensureDeferred
async def test_a_good_part_can_follow_a_bad_one_of_the_same_id(provider: Provider) -> None:
    data = encode(PART, payload(10))
    with pytest.raises(BadPart):
        await put(provider.store, PART, [data[:-1]])
    await nothing_is_kept(provider)
    await put(provider.store, PART, [data])
    assert await get(provider.store, PART) == data


# Parts that are there already


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_there_is_left_as_it_is(provider: Provider) -> None:
    data = encode(PART, b"first")
    info = await put(provider.store, PART, [data])
    with pytest.raises(PartExists):
        await put(provider.store, PART, [encode(PART, b"second")])
    assert await get(provider.store, PART) == data
    assert await provider.store.stat(PART) == info


@pytest_twisted.ensureDeferred
async def test_a_part_is_written_by_one_at_a_time(provider: Provider) -> None:
    data = encode(PART, b"first")
    writer = await provider.store.create(PART, len(data))
    await reach_free(provider, provider.capacity - len(data))
    with pytest.raises(PartExists):
        await put(provider.store, PART, [encode(PART, b"second")])
    writer.write(data)
    await writer.finish()
    assert await get(provider.store, PART) == data


# Finishing and aborting


@pytest_twisted.ensureDeferred
async def test_what_is_written_after_finish_does_nothing(provider: Provider) -> None:
    data = encode(PART, b"abc")
    writer = await provider.store.create(PART, None)
    writer.write(data)
    finished = writer.finish()
    writer.write(b"more")
    assert (await finished).stored_size == len(data)
    writer.write(b"more")
    assert await get(provider.store, PART) == data


@pytest_twisted.ensureDeferred
async def test_a_writer_that_was_finished_never_tells_that_it_broke(provider: Provider) -> None:
    problems: list[Exception] = []
    for pieces in ([encode(PART, b"")], [encode(OTHER, b"")[:-1]]):
        writer = await provider.store.create(PART if len(pieces[0]) == 96 else OTHER, None)
        writer.when_broken().addCallback(problems.append)
        writer.write(pieces[0])
        with suppress(BadPart):
            await writer.finish()
    assert [info.part_id for info in await provider.store.list_parts("", 10)] == [PART]
    assert problems == []


@pytest.mark.parametrize("stored", [None, 5096])
@pytest.mark.parametrize("written", [0, 10, 3000, 5096])
@pytest_twisted.ensureDeferred
async def test_nothing_is_kept_of_a_part_that_was_given_up(
    provider: Provider, written: int, stored: int | None
) -> None:
    problems: list[Exception] = []
    data = encode(PART, payload(5000), unit=5000)[:written]
    writer = await provider.store.create(PART, stored)
    writer.when_broken().addCallback(problems.append)
    writer.write(data)
    assert await writer.abort() is None
    writer.write(b"more")
    await nothing_is_kept(provider)
    assert await writer.abort() is None
    assert problems == []
    await put(provider.store, PART, [encode(PART, b"again")])


@pytest_twisted.ensureDeferred
async def test_giving_up_after_the_end_does_nothing(provider: Provider) -> None:
    data = encode(PART, b"abc")
    writer = await provider.store.create(PART, None)
    writer.write(data)
    info = await writer.finish()
    assert await writer.abort() is None
    assert await provider.store.stat(PART) == info


@pytest_twisted.ensureDeferred
async def test_nothing_is_kept_of_a_part_whose_beginning_was_cancelled(provider: Provider) -> None:
    creating = provider.store.create(PART, 1000)
    creating.cancel()
    with suppress(CancelledError):
        await (await creating).abort()  # it had begun already
    await nothing_is_kept(provider)


# Removing


@pytest_twisted.ensureDeferred
async def test_a_part_is_removed_once(provider: Provider) -> None:
    await put(provider.store, PART, [encode(PART, payload(100))])
    await put(provider.store, OTHER, [encode(OTHER, b"")])
    assert await provider.store.remove(PART) is True
    assert await provider.store.remove(PART) is False
    with pytest.raises(PartMissing):
        await provider.store.stat(PART)
    assert [info.part_id for info in await provider.store.list_parts("", 10)] == [OTHER]
    await reach_free(provider, provider.capacity - stored_size(0, UNIT))


@pytest_twisted.ensureDeferred
async def test_a_part_that_never_was_is_not_there_to_be_removed(provider: Provider) -> None:
    assert await provider.store.remove(PART) is False


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_removed_while_it_is_written_breaks(provider: Provider) -> None:
    data = encode(PART, payload(100))
    writer = await provider.store.create(PART, len(data))
    await reach_free(provider, provider.capacity - len(data))
    broken = writer.when_broken()
    assert await provider.store.remove(PART) is False
    assert isinstance(await broken, StoragedError)
    writer.write(data)
    with pytest.raises(StoragedError):
        await writer.finish()
    await nothing_is_kept(provider)


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_removed_before_it_comes_does_not_come(provider: Provider) -> None:
    assert await provider.store.remove(PART) is False
    data = encode(PART, payload(100))
    with pytest.raises(PartMissing):
        await put(provider.store, PART, [data], len(data))
    await nothing_is_kept(provider)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("small", [False, True])
async def test_a_part_that_was_removed_before_it_came_may_come_after_it_was_put_aside(
    provider: Provider, small: bool
) -> None:
    assert await provider.store.remove(PART) is False
    assert await provider.store.trash(PART) is False
    data = encode(PART, payload(100))
    if small:
        await put_small(provider.store, PART, data)
    else:
        await put(provider.store, PART, [data], len(data))
    assert (await provider.store.stat(PART)).stored_size == len(data)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("small", [False, True])
async def test_a_part_that_is_put_aside_is_gone(provider: Provider, small: bool) -> None:
    data = encode(PART, payload(100))
    if small:
        await put_small(provider.store, PART, data)
    else:
        await put(provider.store, PART, [data])
    await put(provider.store, OTHER, [encode(OTHER, b"")])
    assert await provider.store.trash(PART) is True
    assert await provider.store.trash(PART) is False
    with pytest.raises(PartMissing):
        await provider.store.open(PART, None)
    with pytest.raises(PartMissing):
        await get_small(provider.store, PART)
    assert [info.part_id for info in await provider.store.list_parts("", 10)] == [OTHER]


# Room


@pytest_twisted.ensureDeferred
async def test_a_node_tells_who_it_is_and_what_room_it_has(provider: Provider) -> None:
    info = await provider.store.info()
    assert (info.node_id, info.cluster, info.free) == (NODE_ID, CLUSTER, provider.capacity)
    assert info.disk
    assert info.capacity >= info.free
    stored = (await put(provider.store, PART, [encode(PART, payload(10_000))])).stored_size
    await reach_free(provider, provider.capacity - stored)


@pytest_twisted.ensureDeferred
async def test_a_part_for_which_there_is_no_room_is_refused(provider: Provider) -> None:
    data = encode(PART, payload(provider.capacity), unit=256 * 1024)
    with pytest.raises(NoSpace):
        await put(provider.store, PART, cut(data, 64 * 1024), len(data))
    await nothing_is_kept(provider)


@pytest_twisted.ensureDeferred
async def test_room_that_was_promised_to_one_part_is_not_given_to_another(provider: Provider) -> None:
    part = encode(PART, payload(100))
    writer = await provider.store.create(PART, provider.capacity - len(part) + 1)
    await reach_free(provider, len(part) - 1)
    with pytest.raises(NoSpace):
        await put(provider.store, OTHER, [encode(OTHER, payload(100))], len(part))
    await writer.abort()
    await reach_free(provider, provider.capacity)
    await put(provider.store, OTHER, [encode(OTHER, payload(100))], len(part))


@pytest_twisted.ensureDeferred
async def test_a_full_node_takes_no_part_of_unknown_size(provider: Provider) -> None:
    writer = await provider.store.create(OTHER, provider.capacity)
    await reach_free(provider, 0)
    with pytest.raises(NoSpace):
        await put(provider.store, PART, [encode(PART, b"")])
    await writer.abort()


@pytest_twisted.ensureDeferred
async def test_a_part_that_runs_out_of_room_breaks_and_is_not_kept(provider: Provider) -> None:
    writer = await provider.store.create(PART, None)
    for piece in cut(encode(PART, payload(2 * provider.capacity), unit=256 * 1024), 64 * 1024):
        writer.write(piece)
    assert isinstance(await writer.when_broken(), NoSpace)
    with pytest.raises(NoSpace):
        await writer.finish()
    await nothing_is_kept(provider)


# Back-pressure


@pytest_twisted.ensureDeferred
async def test_the_producer_waits_while_the_store_is_behind(slow_provider: SlowProvider) -> None:
    from twisted.internet import reactor

    unit = 64 * 1024
    producer = Producer()
    writer = await slow_provider.store.create(PART, None)
    writer.registerProducer(producer, True)
    encoder = PartEncoder(parse_part_id(PART), unit)
    for _ in range(PATIENCE):
        for piece in encoder.encode(bytes(unit)):
            writer.write(piece)
        await deferLater(reactor, 0)
        if producer.paused:
            break
    assert producer.paused
    for piece in encoder.encode(bytes(unit)):  # what comes while paused is kept
        writer.write(piece)
    slow_provider.let_go()
    await producer.resumed
    for piece in encoder.encode(b"the end") + encoder.finish():
        writer.write(piece)
    writer.unregisterProducer()
    assert (await writer.finish()).stored_size == stored_size(encoder.size, unit)
