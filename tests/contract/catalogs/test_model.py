"""Any history of changes, on each kind of catalog."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
import pytest_twisted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.python.threadpool import ThreadPool

from splitd.interfaces.keys import KeyCopy
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.holdings import PartCopy
from splitd.model.if_header import IfHeader, Term, TermList
from splitd.model.locks import EXCLUSIVE, SHARED, Lock
from splitd.model.media import SAME, Labels, Media
from splitd.model.properties import PropertyChanges
from splitd.model.tree import Collection
from storaged.parts.format import PartId
from tests.catalogs import AS_KEY, NEW, NODES, A, B, C, manifest
from tests.contract.catalogs.front import Front, Opened
from tests.contract.catalogs.places import PLACES
from tests.segments import commit_segment, complete, segment
from tests.tally import EFFORT

paths = st.sampled_from(["/", "/a", "/b", "/a/b", "/a/b/c", "/a/c", "/b/c", "bad"])
keys = st.sampled_from(["/a/b", "/a/b/", "/a/b/c", "/a/c", "/a/c/d", "/a//b", "/a/..", "/b/c", "/a"])
places = st.one_of(paths, keys)
UPLOADS = [A, B, C, "1" * 32, "2" * 32, "3" * 32]
uploads = st.sampled_from(UPLOADS)
tokens = st.sampled_from(["urn:1", "urn:2", "urn:3"])
booleans = st.booleans()


def believing(path: str, token: str) -> Condition:
    return Condition(if_header=IfHeader((TermList(path, (Term(negated=False, token=token),)),)))


as_key = st.sampled_from(
    [AS_KEY, AS_KEY, Condition(none_match=("*",), is_key=True), Condition(match=("*",), is_key=True)]
)
conditions = st.one_of(
    st.sampled_from([ALWAYS, ALWAYS, NEW, Condition(match=("*",)), Condition(match=(manifest(A).etag,))]),
    st.builds(believing, st.sampled_from(["/a", "/a/b", "/b"]), tokens),
)
properties = st.builds(
    PropertyChanges,
    st.dictionaries(st.sampled_from(["a", "{DAV:}b"]), st.sampled_from(["<x/>", "<y/>"])),
    st.lists(st.just("a"), max_size=1),
)
locks = st.builds(
    Lock,
    paths,
    tokens,
    st.sampled_from([EXCLUSIVE, SHARED]),
    booleans,
    st.just("<o/>"),
    st.just(1000),
    st.integers(900, 9000),
)
COPIES = [PartCopy(upload, index, node) for upload in (A, B) for index in (0, 1) for node in ("a", "g", "h")]
OF_PARTS = {"begin_move", "commit_move", "abort_move", "lose", "gone"}
copies = st.sampled_from(COPIES)
parts = st.builds(PartId, uploads, st.integers(0, 5))
continued = st.sampled_from(["fe" * 16, "fd" * 16])
numbers = st.integers(1, 3)
chosen = st.dictionaries(numbers, uploads, max_size=3).map(lambda some: sorted(some.items()))
gaps = st.sampled_from([NODES, ("", *NODES[1:]), ("", "b", "", *NODES[3:]), ("a", "", "", "", *NODES[4:])])


operations = st.one_of(
    st.tuples(st.just("begin"), uploads, paths, st.just(NODES)),
    st.tuples(st.just("commit"), paths, uploads.map(manifest), conditions),
    st.tuples(st.just("commit"), paths, st.builds(manifest, uploads, nodes=st.just(())), conditions),
    st.tuples(st.just("commit"), keys, uploads.map(manifest), as_key),
    st.tuples(st.just("commit"), keys, st.builds(manifest, uploads, size=st.just(0), nodes=st.just(())), as_key),
    st.tuples(st.just("begin_all"), st.lists(st.builds(Start, uploads, paths, st.just(NODES)), max_size=4)),
    st.tuples(st.just("commit"), paths, st.builds(manifest, uploads, parity=st.just(2), nodes=gaps), st.just(ALWAYS)),
    st.tuples(st.just("commit_all"), st.lists(st.builds(Commit, paths, uploads.map(manifest), conditions), max_size=4)),
    st.tuples(st.just("abort"), uploads, st.just("no more")),
    st.tuples(st.just("continue"), continued, paths),
    st.tuples(st.just("segment"), numbers, st.builds(segment, uploads, continued, size=st.sampled_from([0, 10]))),
    st.tuples(st.just("segment"), numbers, st.builds(segment, uploads, continued)),
    st.tuples(st.just("complete"), continued, paths, chosen, conditions),
    st.tuples(st.just("end"), continued),
    st.tuples(st.just("gone"), st.sampled_from("abcdefgh"), st.lists(parts, max_size=12)),
    st.tuples(st.just("begin_move"), copies),
    st.tuples(st.just("commit_move"), copies),
    st.tuples(st.just("lose"), st.sampled_from("abcg"), st.lists(parts, max_size=4), st.just("rotten")),
    st.tuples(st.just("lose_node"), st.sampled_from("ah")),
    st.tuples(st.just("abort_move"), copies, st.just("no more")),
    st.tuples(st.just("make_collection"), paths),
    st.tuples(st.just("delete"), places, conditions),
    st.tuples(st.just("delete_key"), keys, conditions),
    st.tuples(st.just("delete_empty"), places, conditions),
    st.tuples(
        st.just("copy_key"),
        st.builds(
            KeyCopy,
            keys,
            keys,
            st.sampled_from([SAME, Labels(Media("text/plain")), Labels(tags=(("k", "v"),))]),
            conditions,
            conditions,
        ),
    ),
    st.tuples(st.just("move"), places, paths, conditions, booleans),
    st.tuples(st.just("copy"), places, paths, conditions, booleans, booleans),
    st.tuples(st.just("change_properties"), places, properties, conditions),
    st.tuples(st.just("lock"), locks, conditions, st.builds(manifest, uploads, size=st.just(0), nodes=st.just(()))),
    st.tuples(st.just("refresh"), paths, st.integers(1000, 9000), conditions),
    st.tuples(st.just("unlock"), paths, tokens, conditions),
)


def perform(front: Front, operation: tuple[Any, ...]) -> Deferred[Any]:
    """Do it; fires with how it ends, be it well or not."""
    match operation:
        case "move", source, target, condition, overwrite:
            done: Deferred[Any] = front.namespace.move(source, target, condition, overwrite=overwrite)
        case "copy", source, target, condition, overwrite, deep:
            done = front.namespace.copy(source, target, condition, overwrite=overwrite, deep=deep)
        case "begin", upload, path, nodes:
            done = front.begin(upload, path, nodes)
        case "commit", path, version, condition:
            done = front.commit(path, version, condition)
        case (("continue" | "segment" | "complete" | "end"), *_):
            done = continue_upload(front, operation)
        case "commit_all", commits:
            done = gatherResults([ended(committed) for committed in front.ledger.commit_all(commits)])
        case name, *arguments:
            names = (front.catalog, front.namespace, front.keys, front.locks)
            parts = (front.ledger, front.part_moves, front.doomed_parts, front.heal_ledger)
            where = next(each for each in (*names, *parts) if hasattr(each, name))
            done = getattr(where, name)(*arguments)
    return ended(done)


def continue_upload(front: Front, operation: tuple[Any, ...]) -> Deferred[Any]:
    """Do something with an upload that can be continued."""
    match operation:
        case "continue", upload, path:
            return front.continued.begin(upload, path, "")
        case "segment", number, version:
            return Deferred.fromCoroutine(commit_segment(front.ledger, number, version))
        case "complete", upload, path, some, condition:
            return Deferred.fromCoroutine(complete(front.continued, upload, path, some, condition=condition))
    return front.continued.abort(operation[1], "no more")


def ended(done: Deferred[Any]) -> Deferred[Any]:
    """Fires with the result, or with what the failure says."""
    return done.addErrback(lambda failure: (failure.type, failure.getErrorMessage()))


async def everything(front: Front) -> tuple[Any, ...]:
    """All that can be seen of a catalog, but for what it counts since the start."""
    found = await front.walk()
    details = dict(zip(found, await front.namespace.details(list(found)), strict=True))
    parts = [PartId(upload, index) for upload in UPLOADS for index in range(6)]
    orphans = {node: await front.ledger.orphans(node, parts) for node in "abcdefgh"}
    numbers = attrs.evolve(await front.statistics(), reaped=0)
    # Parts of a deleted tree are doomed while other changes are made: their order is not promised.
    doomed = {node: sorted(parts) for node, parts in (await front.doomed()).items()}
    heal = front.heal_ledger
    placed = [await heal.placed_on(node, "", 100) for node in "abcdefgh"]
    missing = await heal.hurt("", 100), await heal.hurt_counts(), await heal.lost_nodes(), await heal.parts_on(), placed
    collections = {path for path, entry in found.items() if isinstance(entry, Collection)}
    listed = {folder: await front.listed(collection=folder) for folder in ("/a/", "/b/") if folder[:-1] in collections}
    continued = {
        each: await front.continued.list_segments(each.upload, 0, 100)
        for each in await front.continued.list_uploads("/", ("", ""), 100)
    }
    versions = await front.versions.find_all(UPLOADS)
    more = await front.looks.nodes(), missing, listed, continued, versions
    return found, details, doomed, orphans, numbers, *more


@asynccontextmanager
async def started(kind: str, pool: ThreadPool) -> AsyncIterator[Front]:
    """A front with a new catalog.  The test closes it, by `restart`s that it makes, or here."""
    with TemporaryDirectory() as folder:
        opened = Opened(PLACES[kind](Path(folder), pool))
        opened.clock.advance(1.0)
        try:
            yield await Front.start(opened)
        finally:
            await opened.close()


async def restart_finds_all(kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]) -> None:
    async with started(kind, pool) as front:
        for operation in history:
            await perform(front, operation)
        for upload in UPLOADS:
            await front.ledger.abort(upload, "the server stops")
        for copy in COPIES:
            await front.part_moves.abort_move(copy, "the server stops")
        before = await everything(front)
        assert await everything(await front.restart()) == before


async def ends_as_if_alone(kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]) -> None:
    async with started(kind, pool) as alone, started(kind, pool) as together:
        expected: list[Any] = []
        outcomes: list[Deferred[Any]] = []
        for operation in history:
            if operation == ("hold",):
                together.place.hold()
            elif operation == ("release",):
                together.place.release()
            else:
                if operation[0] in OF_PARTS:
                    # They do not wait for changes of names, see `IPartMoves`: those must be seen before them.
                    together.place.release()
                    await settle(outcomes)
                expected.append(await perform(alone, operation))
                outcomes.append(perform(together, operation))
                if operation[0] in OF_PARTS:
                    await settle(outcomes)
        together.place.release()
        assert [await outcome for outcome in outcomes] == expected
        assert await everything(together) == await everything(alone)
        assert await everything(await together.restart()) == await everything(await alone.restart())


async def settle(outcomes: list[Deferred[Any]]) -> None:
    """Wait until all have ended; they keep their results, which an `await` takes."""
    for place, outcome in enumerate(outcomes):
        outcomes[place] = succeed(await outcome)


async def a_restart_finds_what_waited(kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]) -> None:
    async with started(kind, pool) as front:
        outcomes = []
        for operation in history:
            if operation == ("hold",):
                front.place.hold()
            elif operation == ("release",):
                front.place.release()
            else:
                outcomes.append(perform(front, operation))
        front.place.release()
        for outcome in outcomes:
            await outcome
        for upload in UPLOADS:
            await front.ledger.abort(upload, "the server stops")
        for copy in COPIES:
            await front.part_moves.abort_move(copy, "the server stops")
        before = comparable(await everything(front))
        assert comparable(await everything(await front.restart())) == before


def comparable(seen: tuple[Any, ...]) -> tuple[Any, ...]:
    """All but how many entries are doomed: a part that moves while its file is deleted may be one of its own."""
    found, details, doomed, orphans, numbers, *rest = seen
    return found, details, doomed, orphans, attrs.evolve(numbers, doomed=0), *rest


histories = st.lists(operations, max_size=40)
held_histories = st.lists(st.one_of(operations, st.sampled_from([("hold",), ("release",)])), max_size=40)
many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
quick = pytest.mark.parametrize("kind", ["memory"])
slow = pytest.mark.parametrize("kind", ["disk"])
far = pytest.mark.parametrize("kind", ["socket"])
slowest = pytest.mark.parametrize("kind", ["postgresql"])


@quick
@many
@given(history=histories)
@pytest_twisted.inlineCallbacks
def test_a_restart_finds_all_as_it_was(kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]) -> Any:
    yield Deferred.fromCoroutine(restart_finds_all(kind, pool, history))


@slow
@settings(many, max_examples=30)
@given(history=histories)
@pytest_twisted.inlineCallbacks
def test_a_restart_finds_all_as_it_was_here_too(kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]) -> Any:
    yield Deferred.fromCoroutine(restart_finds_all(kind, pool, history))


@quick
@settings(many, max_examples=200)
@given(history=held_histories)
@pytest_twisted.inlineCallbacks
def test_changes_that_wait_to_be_durable_end_as_if_each_had_come_alone(
    kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]
) -> Any:
    yield Deferred.fromCoroutine(ends_as_if_alone(kind, pool, history))


@slow
@settings(many, max_examples=30)
@given(history=held_histories)
@pytest_twisted.inlineCallbacks
def test_changes_that_wait_to_be_durable_end_as_if_each_had_come_alone_here_too(
    kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]
) -> Any:
    yield Deferred.fromCoroutine(ends_as_if_alone(kind, pool, history))


@quick
@settings(many, max_examples=200)
@given(history=held_histories)
@pytest_twisted.inlineCallbacks
def test_changes_of_parts_and_names_that_wait_together_are_found_by_a_restart(
    kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]
) -> Any:
    yield Deferred.fromCoroutine(a_restart_finds_what_waited(kind, pool, history))


@far
@settings(many, max_examples=30)
@given(history=histories)
@pytest_twisted.inlineCallbacks
def test_a_restart_finds_all_as_it_was_over_a_socket(
    kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]
) -> Any:
    yield Deferred.fromCoroutine(restart_finds_all(kind, pool, history))


@far
@settings(many, max_examples=30)
@given(history=held_histories)
@pytest_twisted.inlineCallbacks
def test_changes_that_wait_to_be_durable_end_as_if_each_had_come_alone_over_a_socket(
    kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]
) -> Any:
    yield Deferred.fromCoroutine(ends_as_if_alone(kind, pool, history))


@slowest
@settings(many, max_examples=8 * EFFORT)
@given(history=histories)
@pytest_twisted.inlineCallbacks
def test_a_restart_finds_all_as_it_was_in_a_database(
    kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]
) -> Any:
    yield Deferred.fromCoroutine(restart_finds_all(kind, pool, history))


@slowest
@settings(many, max_examples=8 * EFFORT)
@given(history=held_histories)
@pytest_twisted.inlineCallbacks
def test_changes_that_wait_to_be_durable_end_as_if_each_had_come_alone_in_a_database(
    kind: str, pool: ThreadPool, history: list[tuple[Any, ...]]
) -> Any:
    yield Deferred.fromCoroutine(ends_as_if_alone(kind, pool, history))
