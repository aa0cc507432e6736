"""Files that come to free paths are committed without being judged; all others are judged, as all refusals are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from typing import Any

import attrs
import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, DeferredList

from splitd.catalog.sql.catalog import StoredCatalog
from splitd.catalog.sql.connected import Current
from splitd.catalog.sql.connecting import connector
from splitd.catalog.sql.jobs import Change, Manner
from splitd.catalog.sql.placing import is_plain
from splitd.catalog.sql.state import Common
from splitd.catalog.sql.writer import Writer
from splitd.errors import NotAFile, SplitdError, UploadAborted
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS, Condition, Held
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from tests.catalogs import AS_KEY, NEW, NODES, A, B, C, manifest, walk
from tests.cluster.waiting import becomes
from tests.contract.catalogs.both_fronts import Both, is_blocked
from tests.postgres import postgres

_JUDGED = "judged"


D = "d" * 32


def _bad(upload: str) -> Manifest:
    """Return a manifest that no row can hold."""
    return msgspec.structs.replace(manifest(upload), said=Media(tags=(("a", "\udcff"),)))


def _renew(connection: Any) -> float:
    connection.commit()
    return 1.0


@attrs.define
class Bench:
    """A writer that knows the root, the collection `/c` and the nodes; the judge of each change only says so."""

    both: Both
    writer: Writer

    @property
    def front(self) -> StoredCatalog:
        return self.both.fronts[0]

    async def begin(self, *uploads: str) -> None:
        await self.front.ledger.begin_all([Start(upload, "/f", NODES) for upload in uploads])

    def commit(self, *commits: Commit) -> Sequence[Any]:
        return self.writer.work([
            Change(lambda: ((), _JUDGED), (each.path, each.manifest.upload), lambda _: None, None, None,
                   Manner(placing=each)) for each in commits
        ])  # fmt: skip


@pytest_twisted.async_yield_fixture
async def bench(both: Both) -> AsyncIterator[Bench]:
    await both.fronts[0].make_collection("/c")
    await both.put(0, "/c/there", C)
    common = Common(widest=len(NODES), folders={"": (0, b"", 1, False, None, None)})
    with closing(postgres().connect(both.schema)) as connection:
        [row] = connection.execute("SELECT parent, name, id, implied FROM entry WHERE name = 'c/'").fetchall()
        common.folders["c/"] = *row, None, None
        common.numbers.ids(connection, [1], {})
    writer = Writer(connector(postgres().url(both.schema)), Current(), common, lambda: 99, _renew)
    yield Bench(both, writer)
    writer.close()


@pytest_twisted.ensureDeferred
async def test_files_that_come_to_free_paths_are_committed_without_being_judged(bench: Bench) -> None:
    await bench.begin(A, B)
    before = await bench.front.statistics()
    assert await bench.front.lookup("/c/a") is None
    assert bench.commit(Commit("/c/a", manifest(A), NEW), Commit("/b", manifest(B), AS_KEY)) == [True, True]
    names = await walk(bench.both.fronts[1])
    assert (names["/c/a"], names["/b"]) == (manifest(A), manifest(B))
    assert await bench.front.lookup("/c/a") == manifest(A)  # which had kept that there is nothing
    after = await bench.front.statistics()
    assert (after.files - before.files, after.bytes_stored - before.bytes_stored) == (2, 20)
    assert (after.uploads - before.uploads) == -2
    assert await bench.front.heal_ledger.parts_on() == dict.fromkeys(NODES, 3)


@pytest.mark.parametrize(
    "commit",
    [
        Commit("/c/there", manifest(A), ALWAYS),
        Commit("/c", manifest(A), ALWAYS),
        Commit("/new/a", manifest(A), AS_KEY),
        Commit("/a", manifest(B), ALWAYS),
        Commit("/a", manifest(A, nodes=(*NODES[:5], "a")), ALWAYS),
        Commit("/a", manifest(A, nodes=(*NODES, "a")), ALWAYS),
        Commit("/a", manifest(A, nodes=(*NODES[:5], "new")), ALWAYS),
        Commit("/a", manifest("no upload"), ALWAYS),
    ],
    ids=["file", "collection", "unknown", "not begun", "elsewhere", "wider", "node", "id"],
)
@pytest_twisted.ensureDeferred
async def test_what_may_have_to_be_refused_or_replaces_something_is_judged(bench: Bench, commit: Commit) -> None:
    await bench.begin(A)
    names = await walk(bench.front)
    assert bench.commit(commit) == [_JUDGED]
    assert await walk(bench.front) == names
    assert bench.both.rows("SELECT upload FROM upload") == [(bytes.fromhex(A),)]


@pytest_twisted.ensureDeferred
async def test_of_a_batch_those_are_judged_that_are_not_placed(bench: Bench) -> None:
    await bench.begin(A, B)
    commits = Commit("/c/there", manifest(A), ALWAYS), Commit("/c/b", manifest(B), ALWAYS)
    assert bench.commit(*commits) == [_JUDGED, True]
    assert (await walk(bench.front))["/c/b"] == manifest(B)


@pytest_twisted.ensureDeferred
async def test_a_commit_that_no_row_can_hold_does_not_fail_those_beside_it(bench: Bench) -> None:
    await bench.begin(A, B, D)
    bad = Commit("/bad", _bad(B), ALWAYS)
    before = await walk(bench.front)
    outcomes = bench.commit(Commit("/c/a", manifest(A), ALWAYS), bad, Commit("/b", manifest(D), ALWAYS))
    assert outcomes == [_JUDGED] * 3
    assert await walk(bench.front) == before
    assert bench.commit(Commit("/c/a", manifest(A), ALWAYS)) == [True], "the connection is as it was"


@pytest_twisted.ensureDeferred
async def test_of_commits_at_once_the_good_ones_are_made(both: Both) -> None:
    front = both.fronts[0]
    await both.put(0, "/known", D)
    await front.ledger.begin_all([Start(each, "/f", NODES) for each in (A, B, C)])
    good, bad = [manifest(A), manifest(C)], _bad(B)
    changes = front.ledger.commit_all([
        Commit("/a", good[0], ALWAYS), Commit("/bad", bad, ALWAYS), Commit("/c", good[1], ALWAYS)
    ])  # fmt: skip
    first, refused, last = [await DeferredList([each], consumeErrors=True) for each in changes]
    assert [first, last] == [[(True, True)]] * 2
    assert not refused[0][0]
    names = await walk(both.fronts[1])
    assert ([names["/a"], names["/c"]], "/bad" in names) == (good, False)


@pytest.mark.parametrize(
    "row",
    [
        "meter VALUES ('/q', 0, 0)",
        """lock (token, path, place, scope, deep, owner, taken_ms, expires_ms, holder, serial)
            VALUES ('t', '/b', '/b', 'exclusive', false, '', 0, 1000, '', 1)""",
    ],
    ids=["quota", "lock"],
)
@pytest_twisted.ensureDeferred
async def test_commits_are_judged_if_there_are_locks_or_quotas(bench: Bench, row: str) -> None:
    await bench.begin(A)
    bench.both.rows(f"INSERT INTO {row}")
    assert bench.commit(Commit("/a", manifest(A), ALWAYS)) == [_JUDGED]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET parent = -1 WHERE name = 'c/'",
        "UPDATE entry SET parent = -1 WHERE parent = 1; INSERT INTO entry (parent, name, id) VALUES (1, 'c/', 77)",
    ],
    ids=["deleted", "replaced"],
)
@pytest_twisted.ensureDeferred
async def test_a_collection_that_is_not_where_it_was_is_looked_for(bench: Bench, change: str) -> None:
    await bench.begin(A, B)
    with closing(postgres().connect(bench.both.schema)) as connection:
        connection.execute(change)
        connection.commit()
    commits = Commit("/c/a", manifest(A), ALWAYS), Commit("/b", manifest(B), ALWAYS)
    assert bench.commit(*commits) == [_JUDGED, _JUDGED]


@pytest.mark.parametrize(
    ("condition", "nodes", "path"),
    [
        (Condition(match=("*",)), NODES, "/f"),
        (Condition(collections=("/f",)), NODES, "/f"),
        (Condition(held=Held(0, frozenset())), NODES, "/f"),
        (AS_KEY, NODES, "/f/"),
        (ALWAYS, (), "/f"),
        (ALWAYS, (*NODES[:5], ""), "/f"),
    ],
    ids=["match", "slash", "held", "own", "empty", "missing"],
)
def test_only_plain_commits_are_placed(condition: Condition, nodes: tuple[str, ...], path: str) -> None:
    assert is_plain(Commit("/f", manifest(A), NEW))
    assert not is_plain(Commit(path, manifest(A, nodes=nodes), condition))


async def outcome(change: Deferred[bool]) -> Any:
    try:
        return await change
    except SplitdError as problem:
        return type(problem)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("INSERT INTO entry (parent, name, id, created_ms, modified_ms) VALUES (1, 'f/', 77, 0, 0)", NotAFile),
        (f"DELETE FROM upload WHERE upload = '\\x{A}'", UploadAborted),
    ],
    ids=["collection", "aborted"],
)
@pytest_twisted.ensureDeferred
async def test_what_another_front_does_until_it_has_the_collection_is_seen(
    both: Both, change: str, expected: Any
) -> None:
    front = both.fronts[0]
    await both.put(0, "/known", B)
    await front.ledger.begin_all([Start(A, "/f", NODES)])
    with closing(postgres().connect(both.schema)) as holding:
        holding.execute("SELECT FROM entry WHERE id = 1 FOR NO KEY UPDATE")
        holding.execute(change)
        [committed] = front.ledger.commit_all([Commit("/f", manifest(A), ALWAYS)])

        await becomes(lambda: is_blocked(both, holding.info.backend_pid))
        holding.commit()
    assert await outcome(committed) is expected
