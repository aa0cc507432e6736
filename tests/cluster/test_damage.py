"""Damaged stored bytes are never served."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted

from storaged.parts.format import CHECKSUM_SIZE, HEADER_SIZE
from tests.cluster.cluster import Cluster

UNIT = 1024
STRIPE = 6 * UNIT
DATA = os.urandom(10 * STRIPE + 3000)


def in_unit(number: int, offset: int) -> int:
    """Return the offset of a byte of a unit in the file of a part."""
    return HEADER_SIZE + number * (UNIT + CHECKSUM_SIZE) + offset


async def read(cluster: Cluster, *headers: str) -> tuple[int, bytes, bool]:
    """Do a GET; return its status, 0 if the connection was cut before it, its body, and whether the body is
    complete.
    """
    client = await cluster.connect()
    client.begin("GET", "/file", "Connection: close", *headers)
    if not await client.until_ended():
        return 0, b"", False
    answer = await client.answer()
    return answer.code, answer.body, len(answer.body) == int(answer.headers["content-length"])


async def fails_visibly(cluster: Cluster, start: int = 0, stop: int = len(DATA)) -> None:
    code, body, whole = await read(cluster, f"Range: bytes={start}-{stop - 1}")
    assert code == 500 or (not whole and DATA[start:stop].startswith(body))


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("place", [in_unit(4, 0), in_unit(4, 700), in_unit(4, UNIT), in_unit(4, UNIT + 3)])
@pytest_twisted.ensureDeferred
async def test_a_wrong_bit_is_never_served(cluster: Cluster, index: int, place: int) -> None:
    await cluster.put("/file", DATA)
    cluster.corrupt_part(index, place)
    await fails_visibly(cluster)
    bad = 4 * STRIPE + index * UNIT
    for start, stop in [(bad + 10, bad + 11), (0, bad + 1), (bad + UNIT - 1, len(DATA))]:
        await fails_visibly(cluster, start, stop)
    for start, stop in [(0, bad), (bad + UNIT, len(DATA))]:
        assert await read(cluster, f"Range: bytes={start}-{stop - 1}") == (206, DATA[start:stop], True)


@pytest_twisted.ensureDeferred
async def test_damage_at_the_beginning_is_told_with_part_and_node(cluster: Cluster) -> None:
    await cluster.put("/file", DATA)
    cluster.corrupt_part(0, in_unit(0, 5))
    code, body, _ = await read(cluster)
    part = cluster.part_files()[0]
    assert code == 500
    assert part.name in body.decode()
    assert part.parents[2].name in body.decode()
    downloads = (await cluster.status())["downloads"]
    assert (downloads["failed"], downloads["under_way"]) == (1, 0)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def swap(path: Path) -> None:
    other = next(each for each in path.parents[3].glob("n*/parts/*/*") if each.suffix != path.suffix)
    mine, its = path.read_bytes(), other.read_bytes()
    path.write_bytes(its)
    other.write_bytes(mine)


@pytest.mark.parametrize("harm", [truncate, swap, lambda path: path.write_bytes(b""), Path.unlink])
@pytest.mark.parametrize("index", [0, 3, 5])
@pytest_twisted.ensureDeferred
async def test_a_part_that_is_not_the_one_that_was_written_is_not_served(
    cluster: Cluster, harm: Callable[[Path], None], index: int
) -> None:
    await cluster.put("/file", DATA)
    harm(cluster.part_files()[index])
    await fails_visibly(cluster)
    assert (await cluster.put("/file", b"mended")).code == 204
    assert (await cluster.get("/file")).body == b"mended"


@pytest_twisted.ensureDeferred
async def test_units_in_the_wrong_order_are_not_served(cluster: Cluster) -> None:
    await cluster.put("/file", DATA)
    path = cluster.part_files()[2]
    data = path.read_bytes()
    two, three, four = (in_unit(number, 0) for number in (2, 3, 4))
    path.write_bytes(data[:two] + data[three:four] + data[two:three] + data[four:])
    await fails_visibly(cluster)
    assert (await read(cluster, f"Range: bytes={2 * STRIPE + 2 * UNIT}-{2 * STRIPE + 2 * UNIT + 5}"))[0] == 500


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_missing_is_told(cluster: Cluster) -> None:
    await cluster.put("/file", DATA)
    path = cluster.part_files()[1]
    path.unlink()
    code, body, _ = await read(cluster)
    assert (code, path.name in body.decode()) == (500, True)
    assert [node["state"] for node in (await cluster.status())["nodes"]] == ["up"] * 6
