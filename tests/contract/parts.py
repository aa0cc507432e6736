"""Shared code of the tests of part stores."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from zope.interface import implementer

from storaged.parts.errors import StoragedError
from storaged.parts.format import PartEncoder, parse_part_id
from storaged.parts.interfaces import INodeStore, IPartReader, IPartStore, ISmallPartStore
from storaged.parts.values import PartInfo
from storaged.system.ranges import Span
from tests.cluster.waiting import becomes

_T = TypeVar("_T")

NODE_ID = "n1"
CLUSTER = "c1"
UNIT = 1000
PART = "3f" + "0" * 30 + ".2"
OTHER = "3f" + "0" * 30 + ".3"
SIZES = [0, 1, UNIT - 1, UNIT, UNIT + 1, 7 * UNIT + 3, 700_000]
BAD_IDS = ["", "x", "../../../../etc/passwd", PART.upper(), PART + "0" * 3, PART[:-2], PART + "\n", "é" * 32 + ".0"]
PATIENCE = 1000


@attrs.frozen
class Provider:
    """A store of node `NODE_ID` in cluster `CLUSTER`, empty at first.

    :param capacity: the bytes that it has room for, a few MiB.
    :param clock: the clock of the code that measures the volume, which need not measure again before it has advanced.
    :param spoil: flips a bit of a stored byte of a part, given the part's id and the byte's offset.
    :param note_rot: makes the store know that a part is rotten, and why.
    """

    store: INodeStore
    capacity: int
    clock: Clock
    spoil: Callable[[str, int], None]
    note_rot: Callable[[str, str], None]


@attrs.frozen
class SlowProvider:
    """A store that writes nothing to its storage until `let_go` is called."""

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


async def put_small(store: ISmallPartStore, part_id: str, data: bytes) -> PartInfo:
    return _good(await store.put_all([(part_id, data)]))


async def get_small(store: ISmallPartStore, part_id: str) -> bytes:
    return _good(await store.get_all([part_id]))


async def remove_small(store: ISmallPartStore, part_id: str) -> bool:
    return _good(await store.remove_all([part_id]))


def _good(outcomes: list[_T | StoragedError]) -> _T:
    [outcome] = outcomes
    if isinstance(outcome, StoragedError):
        raise outcome
    return outcome


async def read_on(reader: IPartReader) -> bytes:
    read = bytearray()
    while data := await reader.read():
        assert len(data) <= 1024 * 1024
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
    async def is_reached() -> bool:
        provider.clock.advance(1)
        return (await provider.store.info()).free == free

    await becomes(is_reached, f"{free} bytes free", pause_s=0)


async def nothing_is_kept(provider: Provider) -> None:
    assert await provider.store.list_parts("", 10) == []
    await reach_free(provider, provider.capacity)
    assert await provider.store.list_parts("", 10) == []


@implementer(IPushProducer)
class Producer:
    """Records whether it is paused."""

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
