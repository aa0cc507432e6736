"""The deep check: reads every byte of every part of a file, and compares parity with data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from splitd.model.erasure import code_of
from splitd.model.manifest import Manifest
from splitd.upkeep.check.asking import Asking, hurt_part, nowhere
from splitd.upkeep.check.events import DAMAGED, INCONSISTENT, UNREACHABLE, HurtPart
from splitd.upkeep.check.reading import PartReading
from storaged.parts.decoding import check_part
from storaged.parts.errors import BadPart, PartDamaged, StoragedError
from storaged.parts.format import CHECKSUM_SIZE, FOOTER_SIZE, HEADER_SIZE, SMALL_PART, stored_size
from storaged.parts.interfaces import INodeStore
from storaged.system.parallel import InThread, gather


class DeepCheck:
    """Reads versions from end to end, at bounded memory: a stripe, and what is on its way from the nodes.

    :param rotten: for each node, why parts are rotten, by their ids.
    :param run: runs a computation in a thread.
    :param pass_bytes: called with each number of stored bytes that were read; waits to keep the pace.
    """

    def __init__(
        self,
        rotten: Mapping[str, Mapping[str, str]],
        asking: Asking,
        run: InThread,
        pass_bytes: Callable[[int], Awaitable[None]],
    ) -> None:
        self._rotten = rotten
        self._asking = asking
        self._run = run
        self._pass = pass_bytes

    async def check(self, manifest: Manifest) -> list[HurtPart]:
        """Read a version, and return the parts that are not as they should be."""
        indexes = [index for index, node in enumerate(manifest.nodes) if node]
        largest = max([stored_size(manifest.part_size(index), manifest.unit) for index in indexes], default=0)
        check = self._check_small if largest <= SMALL_PART else self._check_large
        return nowhere(manifest) + [self._explain(manifest, part) for part in await check(manifest, indexes)]

    def _explain(self, manifest: Manifest, part: HurtPart) -> HurtPart:
        """Return what is known about a part that could not be read to its end.

        A node breaks off in the middle of a part that its disk cannot read, which looks as if the node had failed.
        """
        reason = self._rotten.get(part.node, {}).get(str(manifest.part(part.part)))
        if part.state != UNREACHABLE or reason is None:
            return part
        return HurtPart(part.part, part.node, DAMAGED, reason)

    # Small parts arrive whole

    async def _check_small(self, manifest: Manifest, indexes: list[int]) -> list[HurtPart]:
        outcomes = await gather([self._get(manifest, index) for index in indexes])
        parts = {index: each for index, each in zip(indexes, outcomes, strict=True) if isinstance(each, bytes)}
        hurt = [
            hurt_part(manifest, index, each)
            for index, each in zip(indexes, outcomes, strict=True)
            if not isinstance(each, bytes)
        ]
        await self._pass(sum(map(len, parts.values())))
        payloads = {index: _payload(manifest, data) for index, data in parts.items()}
        for start in range(0, manifest.part_size(0), manifest.unit):
            columns = {index: each[start : start + manifest.unit] for index, each in payloads.items()}
            wrong = await self._compare(manifest, columns)
            if wrong:
                return hurt + _inconsistent(manifest, wrong, start // manifest.unit)
        return hurt

    async def _get(self, manifest: Manifest, index: int) -> bytes | StoragedError:
        part = manifest.part(index)
        got = await self._asking.ask(manifest.nodes[index], lambda store: store.get_all([str(part)]))
        data = got if isinstance(got, StoragedError) else got[0]
        if isinstance(data, StoragedError):
            return data
        expected = stored_size(manifest.part_size(index), manifest.unit)
        if len(data) != expected:
            return PartDamaged(f"part {part}: takes {len(data)} bytes, expected {expected}")
        try:
            check_part(part, data)
        except BadPart as problem:
            return problem
        return data

    # Large parts are read stripe by stripe

    async def _check_large(self, manifest: Manifest, indexes: list[int]) -> list[HurtPart]:
        readings = {index: PartReading(manifest, index) for index in indexes}
        try:
            return await self._read(manifest, dict(readings))
        finally:
            for reading in readings.values():
                reading.close()

    async def _read(self, manifest: Manifest, readings: dict[int, PartReading]) -> list[HurtPart]:
        hurt: list[HurtPart] = []

        async def try_all(
            work: Mapping[int, Callable[[INodeStore], Deferred[Any]]], *, goes_on: bool = True
        ) -> dict[int, Any]:
            """Do something with some parts; a part that fails is read no further."""
            asked = [self._asking.ask(manifest.nodes[index], call, goes_on=goes_on) for index, call in work.items()]
            done = dict(zip(work, await gather(asked), strict=True))
            for index, outcome in done.items():
                if isinstance(outcome, StoragedError):
                    hurt.append(hurt_part(manifest, index, outcome))
                    readings.pop(index).close()
            return {index: outcome for index, outcome in done.items() if index in readings}

        await try_all({index: _opening(reading) for index, reading in readings.items()}, goes_on=False)
        passed = 0
        consistent = True
        for stripe in range(-(-manifest.part_size(0) // manifest.unit)):
            if not readings:
                break
            start = stripe * manifest.unit
            given = {index: reading for index, reading in readings.items() if manifest.part_size(index) > start}
            columns = await try_all({index: _next_unit(reading) for index, reading in given.items()})
            columns |= {index: b"" for index in readings if index not in given}
            wrong = await self._compare(manifest, columns) if consistent else []
            if wrong:
                consistent = False
                hurt += _inconsistent(manifest, wrong, stripe)
            read = sum(reading.read_bytes for reading in readings.values())
            await self._pass(max(0, read - passed))
            passed = max(passed, read)
        await try_all({index: _finish(reading) for index, reading in readings.items()})
        return hurt

    async def _compare(self, manifest: Manifest, columns: Mapping[int, bytes]) -> list[int]:
        """Return the indexes of the parity columns of a stripe that do not fit its data columns."""
        data = manifest.data
        parity = [index for index in columns if index >= data]
        if not parity or any(index not in columns for index in range(data)):
            return []
        code = code_of(data, manifest.parity)
        encoded = await self._run(lambda: code.encode([[columns[index]] for index in range(data)], len(columns[0])))
        return [index for index in parity if bytes(encoded[index - data]) != columns[index]]


def _opening(reading: PartReading) -> Callable[[INodeStore], Deferred[None]]:
    def call(store: INodeStore) -> Deferred[None]:
        return store.open(reading.part_id, None).addCallback(reading.begin)

    return call


def _next_unit(reading: PartReading) -> Callable[[INodeStore], Deferred[bytes]]:
    return lambda _: Deferred.fromCoroutine(reading.next_unit())


def _finish(reading: PartReading) -> Callable[[INodeStore], Deferred[None]]:
    return lambda _: Deferred.fromCoroutine(reading.finish())


def _payload(manifest: Manifest, data: bytes) -> bytes:
    """Return the payload of a whole part that was checked."""
    body, unit = memoryview(data)[HEADER_SIZE : len(data) - FOOTER_SIZE], manifest.unit
    starts = range(0, len(body), unit + CHECKSUM_SIZE)
    return b"".join([body[start : min(start + unit, len(body) - CHECKSUM_SIZE)] for start in starts])


def _inconsistent(manifest: Manifest, indexes: list[int], stripe: int) -> list[HurtPart]:
    reason = f"does not fit the data parts in stripe {stripe}, though every checksum is right"
    return [HurtPart(index, manifest.nodes[index], INCONSISTENT, reason) for index in indexes]
