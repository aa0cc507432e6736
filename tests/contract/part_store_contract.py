"""The contract of `IPartStore`, `IPartWriter` and `IPartReader`: what every place where parts lie promises.

A module that runs it imports all of it and gives it two fixtures: `provider`, and `slow_provider`, whose writes wait.

A remote store may tell what it has against a part only when bytes were sent (`storaged.client`), and clears up after
an abort in its own time.  So where a part is refused, a test looks at the whole of `put`, not at `create` alone; and
room is looked at until it is what it should be.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock, deferLater
from zope.interface import implementer

from storaged.errors import BadPart, BadRequest, BadSpan, NoSpace, PartExists, PartMissing, StoragedError
from storaged.interfaces import IPartReader, IPartStore, PartInfo
from storaged.partfile import PartEncoder, parse_part_id, stored_size
from storaged.ranges import Span

NODE_ID = "n1"
CLUSTER = "c1"
UNIT = 1000
PART = "3f" + "0" * 30 + ".2"
OTHER = "3f" + "0" * 30 + ".3"
SIZES = [0, 1, UNIT - 1, UNIT, UNIT + 1, 7 * UNIT + 3, 700_000]
BAD_IDS = ["", "x", "../../../../etc/passwd", PART.upper(), PART + "0" * 3, PART[:-2], PART + "\n", "é" * 32 + ".0"]
_PATIENCE = 1000


@attrs.frozen
class Provider:
    """A store of node `NODE_ID` in cluster `CLUSTER`, empty at first.

    :param capacity: the bytes it has room for, a few MiB.
    :param clock: the clock of whoever looks at the volume, who may not look again before it has advanced.
    """

    store: IPartStore
    capacity: int
    clock: Clock


@attrs.frozen
class SlowProvider:
    """A store in whose place of storage nothing is written until `let_go` is called."""

    store: IPartStore
    let_go: Callable[[], None]


def payload(size: int) -> bytes:
    return Random(size).randbytes(size)


def encode(part_id: str, data: bytes, unit: int = UNIT) -> bytes:
    encoder = PartEncoder(parse_part_id(part_id), unit)
    return b"".join(encoder.encode(data) + encoder.finish())


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def flip(data: bytes, bit: int) -> bytes:
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


async def put(store: IPartStore, part_id: str, pieces: list[bytes], stored: int | None = None) -> PartInfo:
    writer = await store.create(part_id, stored)
    for piece in pieces:
        writer.write(piece)
    return await writer.finish()


async def read_on(reader: IPartReader) -> bytes:
    read = bytearray()
    while data := await reader.read():
        assert len(data) <= 512 * 1024
        read += data
    assert await reader.read() == b""
    return bytes(read)


async def get(store: IPartStore, part_id: str, span: Span | None = None) -> bytes:
    reader = await store.open(part_id, span)
    try:
        return await read_on(reader)
    finally:
        reader.close()


async def reach_free(provider: Provider, free: int) -> None:
    for _ in range(_PATIENCE):
        provider.clock.advance(1)
        info = await provider.store.info()
        if info.free == free:
            return
    pytest.fail(f"{info.free} bytes are free, and should be {free}")


async def nothing_is_kept(provider: Provider) -> None:
    assert await provider.store.list_parts("", 10) == []
    await reach_free(provider, provider.capacity)
    assert await provider.store.list_parts("", 10) == []


@implementer(IPushProducer)
class Producer:
    """Notes whether it is paused."""

    def __init__(self) -> None:
        self.paused = False
        self.resumed: Deferred[None] = Deferred()

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        if self.paused:
            self.paused = False
            self.resumed.callback(None)

    def stopProducing(self) -> None:
        raise AssertionError("it has no reason to stop")


# Round trips


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("size", SIZES)
@pytest_twisted.ensureDeferred
async def test_what_is_stored_is_read_back(provider: Provider, size: int, announced: bool) -> None:
    data = encode(PART, payload(size))
    info = await put(provider.store, PART, [data], len(data) if announced else None)
    assert (info.part_id, info.stored) == (PART, stored_size(size, UNIT))
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


# What is not there, and what cannot be asked


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
    ):
        with pytest.raises(BadRequest):
            await ask()


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


# Finishing and giving up


@pytest_twisted.ensureDeferred
async def test_what_is_written_after_finish_does_nothing(provider: Provider) -> None:
    data = encode(PART, b"abc")
    writer = await provider.store.create(PART, None)
    writer.write(data)
    finished = writer.finish()
    writer.write(b"more")
    assert (await finished).stored == len(data)
    writer.write(b"more")
    assert await get(provider.store, PART) == data


@pytest_twisted.ensureDeferred
async def test_a_writer_that_was_finished_never_tells_that_it_broke(provider: Provider) -> None:
    told: list[Exception] = []
    for pieces in ([encode(PART, b"")], [encode(OTHER, b"")[:-1]]):
        writer = await provider.store.create(PART if len(pieces[0]) == 96 else OTHER, None)
        writer.when_broken().addCallback(told.append)
        writer.write(pieces[0])
        with suppress(BadPart):
            await writer.finish()
    assert [info.part_id for info in await provider.store.list_parts("", 10)] == [PART]
    assert told == []


@pytest.mark.parametrize("stored", [None, 5096])
@pytest.mark.parametrize("written", [0, 10, 3000, 5096])
@pytest_twisted.ensureDeferred
async def test_nothing_is_kept_of_a_part_that_was_given_up(
    provider: Provider, written: int, stored: int | None
) -> None:
    told: list[Exception] = []
    data = encode(PART, payload(5000), unit=5000)[:written]
    writer = await provider.store.create(PART, stored)
    writer.when_broken().addCallback(told.append)
    writer.write(data)
    assert await writer.abort() is None
    writer.write(b"more")
    await nothing_is_kept(provider)
    assert await writer.abort() is None
    assert told == []
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


# Room


@pytest_twisted.ensureDeferred
async def test_a_node_tells_who_it_is_and_what_room_it_has(provider: Provider) -> None:
    info = await provider.store.info()
    assert (info.node_id, info.cluster, info.free) == (NODE_ID, CLUSTER, provider.capacity)
    assert info.capacity >= info.free
    stored = (await put(provider.store, PART, [encode(PART, payload(10_000))])).stored
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
    for _ in range(_PATIENCE):
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
    assert (await writer.finish()).stored == stored_size(encoder.size, unit)
