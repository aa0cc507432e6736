#!/usr/bin/env python3
"""Measures catalogs in PostgreSQL with few files and with many, by turns: look-ups, changes, pages and moves.

    bench/database.py --catalog postgresql://splitd@localhost/few postgresql://splitd@localhost/many --files 10000000

The files are made by the database itself, as splitd would have made them: 1,000 in each collection, 1,000 collections
in a tree, one file a millisecond, with ids of uploads that say so (`splitd.model.uploads`).  They have no parts on any
node.  Look-ups are of files that nobody has looked up before: in as many collections as there are at first, because
those that come together share the way to one collection, and in any.  The databases must be empty; they are left as
they are.  The figures are medians of the rounds; the times, of the quickest of nine in each.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
from collections.abc import Awaitable, Callable
from time import monotonic, time_ns
from typing import Any

import psycopg
from report import say, table, write_json
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from splitd.catalog.sql.catalog import StoredCatalog
from splitd.catalog.sql.connecting import connector
from splitd.catalog.sql.stamps import News
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS
from splitd.model.manifest import Manifest
from splitd.model.uploads import RANDOM_BYTES, upload_id
from storaged.system.clocks import WallClock

_NODES = tuple(f"n{number}" for number in range(1, 7))
IN_ONE, FOLDERS = 1000, 1000
_LOOKS = 1000
"""Look-ups of a kind in a round."""
_FIRST = 10**12
"""The id of the first collection; the sequence does not get so far."""
_BEGAN_MS = 1_700_000_000_000
"""When the first file was stored, milliseconds since 1970."""

_STORED_MS = f"({_BEGAN_MS} + {{tree}}::bigint * {IN_ONE * FOLDERS} + n)"
_UPLOAD = f"""decode(substr(md5('{{tree}}.' || n), 1, 2) || lpad(to_hex({_STORED_MS}), 12, '0')
            || substr(md5('{{tree}}.' || n), 3, 18), 'hex')"""

_LOAD = f"""
    INSERT INTO node SELECT n, 'n' || n FROM generate_series(1, 6) AS n ON CONFLICT DO NOTHING;
    INSERT INTO entry (parent, name, id, created_ms, modified_ms)
        VALUES (1, convert_to('tree{{tree}}/', 'UTF8'), {{first}}, 1, 1);
    INSERT INTO entry (parent, name, id, created_ms, modified_ms)
        SELECT {{first}}, convert_to('d' || d || '/', 'UTF8'), {{first}} + 1 + d, 1, 1
        FROM generate_series(0, {{folders}} - 1) AS d;
    INSERT INTO version (upload, size, created_ms, data, parity, unit, nodes)
        SELECT {_UPLOAD}, 4096, {_STORED_MS}, 4, 2, 65536, '{{{{1,2,3,4,5,6}}}}'
        FROM generate_series(0, {{files}} - 1) AS n;
    INSERT INTO entry (parent, name, upload, size)
        SELECT {{first}} + 1 + n / {{in_one}}, convert_to('f' || n % {{in_one}}, 'UTF8'),
            {_UPLOAD}, 4096
        FROM generate_series(0, {{files}} - 1) AS n;
    INSERT INTO tally SELECT key, 4000, {{files}}::bigint * factor
        FROM (VALUES ('files', 1), ('bytes', 4096), {{parts}}) AS counted(key, factor)
        ON CONFLICT (key, slot) DO UPDATE SET value = tally.value + excluded.value"""


def load(url: str, tree: int, files: int) -> None:
    """Make a tree of files."""
    parts = ", ".join(f"('parts on {node}', 1)" for node in _NODES)
    first = _FIRST + tree * 10_000
    numbers = {"tree": tree, "first": first, "files": files, "folders": -(-files // IN_ONE), "in_one": IN_ONE}
    with psycopg.connect(url) as connection:
        connection.execute("SET synchronous_commit TO off")
        connection.execute(_LOAD.format(parts=parts, **numbers))


def cpu_s() -> float:
    """Return the CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Measured:
    """Measures a catalog.

    :param trees: how many trees of how many files it has.
    :param few: how many files the collections have in which files are looked up.
    """

    def __init__(self, catalog: StoredCatalog, trees: int, files: int, few: int) -> None:
        self._catalog = catalog
        self._trees, self._files = trees, files
        self._chance = random.Random(1)
        shuffled = self._chance.sample
        folders = shuffled(range(-(-trees * files // IN_ONE)), few // IN_ONE)
        self._near = iter(shuffled([each * IN_ONE + number for each in folders for number in range(IN_ONE)], few))
        self._far = iter(shuffled(range(trees * files), few))

    def _path(self, number: int) -> str:
        tree, number = divmod(number, self._files)
        return f"/tree{tree}/d{number // IN_ONE}/f{number % IN_ONE}"

    async def get_near(self) -> None:
        """Look up a file, in one of some collections, that was not looked up before."""
        assert await self._catalog.lookup(self._path(next(self._near))) is not None

    async def get_far(self) -> None:
        """Look up any file that was not looked up in this way before."""
        assert await self._catalog.lookup(self._path(next(self._far))) is not None

    async def put(self) -> None:
        """Store a file in place of another one, as far as the catalog has to do with it."""
        path = self._path(self._chance.randrange(self._trees * self._files))
        upload = upload_id(time_ns() // 1_000_000, os.urandom(RANDOM_BYTES))
        await self._catalog.admit(path, ALWAYS)
        await self._catalog.ledger.begin_all([Start(upload, path, _NODES)])
        version = Manifest(upload, 4096, 1, 4, 2, 65536, _NODES, "")
        [committed] = self._catalog.ledger.commit_all([Commit(path, version, ALWAYS)])
        await committed

    async def page(self) -> None:
        """List 1,000 members."""
        number = self._chance.randrange(-(-self._files // IN_ONE))
        page = await self._catalog.list_members(f"/tree{self._chance.randrange(self._trees)}/d{number}", "", 1000)
        assert page

    async def move(self) -> None:
        """Move a tree to another name, and back."""
        for source, target in (("/tree0", "/moved"), ("/moved", "/tree0")):
            await self._catalog.namespace.move(source, target, ALWAYS, overwrite=False)


async def many(call: Callable[[], Awaitable[None]], count: int, width: int) -> tuple[float, float]:
    """Make calls.

    :param width: how many at a time.
    :return: the CPU microseconds of this process for each, and the milliseconds of the quickest one.
    """
    left, took = iter(range(count)), list[float]()

    async def some() -> None:
        for _ in left:
            began = monotonic()
            await call()
            took.append(monotonic() - began)

    before = cpu_s()
    await gatherResults([Deferred.fromCoroutine(some()) for _ in range(width)])
    return (cpu_s() - before) / count * 1e6, min(took) * 1e3


def memory_mib() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure(measured: Measured, catalog: StoredCatalog) -> list[float]:
    """Measure a catalog once."""
    figures = []
    for look in (measured.get_near, measured.get_far):
        catalog.kept.tell(News(None))  # what was looked up before is looked up again
        figures.append((await many(look, _LOOKS, 64))[0])
    figures.append((await many(measured.put, 512, 64))[0])
    return [*figures, (await many(measured.page, 9, 1))[1], (await many(measured.move, 9, 1))[1] / 2]


async def main(reactor: Any) -> None:
    """Measure few files and many by turns, and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", nargs=2, required=True, help="the addresses of two empty databases or schemas")
    parser.add_argument(
        "--files", type=int, default=10_000_000, help="how many files the second one gets [%(default)s]"
    )
    parser.add_argument("--few", type=int, default=10_000, help="how many files the first one gets [%(default)s]")
    parser.add_argument("--rounds", type=int, default=7, help="[%(default)s]")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    in_one = IN_ONE * FOLDERS
    trees, looked = -(-given.files // in_one), _LOOKS * (given.rounds + 1)
    if given.few % IN_ONE or given.few < looked:
        parser.error(f"--few must be a multiple of {IN_ONE}, and {looked} at least")
    catalogs, began = [], monotonic()
    for url, sizes in zip(given.catalog, ([given.few], [in_one] * trees), strict=True):
        catalog = StoredCatalog(connector(url), reactor, WallClock(), reactor, front="bench")
        await catalog.start()
        for tree, size in enumerate(sizes):
            load(url, tree, size)
            say(f"{tree * in_one + size:,} files after {monotonic() - began:.0f} s")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            size_of = "SELECT sum(pg_total_relation_size(c)) FROM unnest(ARRAY['entry', 'version']::regclass[]) AS c"
            bytes_each = float(connection.execute(size_of).fetchone()[0]) / sum(sizes)  # type: ignore[index]
        catalogs.append((Measured(catalog, len(sizes), sizes[0], given.few), catalog))
    figures: list[list[list[float]]] = [[], []]
    memory = []
    for each in catalogs:  # what is measured first is not counted
        await measure(*each)
        memory.append(memory_mib())
    for number in range(given.rounds):
        for side in (0, 1) if number % 2 else (1, 0):
            figures[side].append(await measure(*catalogs[side]))
        say(f"round {number + 1} of {given.rounds}")
    for _, catalog in catalogs:
        await catalog.close()
    few, large = (
        [*map(statistics.median, zip(*each, strict=True)), mib] for each, mib in zip(figures, memory, strict=True)
    )
    names = [
        "look-up near others, CPU us",
        "look-up, CPU us",
        "put, CPU us",
        "page of 1,000, ms",
        "MOVE of a tree, ms",
        "most memory so far, MiB",
    ]
    rows = [[name, one, two, two / one] for name, one, two in zip(names, few, large, strict=True)]
    print(table(["", f"{given.few:,} files", f"{trees * in_one:,} files", "ratio"], rows))
    print(f"{bytes_each:.0f} bytes a file on the database's disk")
    if given.json:
        write_json(given.json, few=dict(zip(names, few, strict=True)), large=dict(zip(names, large, strict=True)))


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
