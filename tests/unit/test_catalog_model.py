from __future__ import annotations

from typing import Any

import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from splitd.catalog.journalled import JournalledCatalog
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.holdings import PartCopy
from splitd.model.if_header import IfHeader, Term, TermList
from splitd.model.locks import EXCLUSIVE, SHARED, Lock
from splitd.model.properties import PropertyChanges
from storaged.parts.format import PartId
from tests.fired import fired
from tests.ledger import begin, commit
from tests.unit.catalogs import NEW, NODES, A, B, C, manifest, started, walk

paths = st.sampled_from(["/", "/a", "/b", "/a/b", "/a/b/c", "/a/c", "/b/c", "bad"])
UPLOADS = [A, B, C, "1" * 32, "2" * 32, "3" * 32]
uploads = st.sampled_from(UPLOADS)
tokens = st.sampled_from(["urn:1", "urn:2", "urn:3"])
booleans = st.booleans()


def believing(path: str, token: str) -> Condition:
    return Condition(if_header=IfHeader((TermList(path, (Term(negated=False, token=token),)),)))


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
copies = st.sampled_from(COPIES)


operations = st.one_of(
    st.tuples(st.just("begin"), uploads, paths, st.just(NODES)),
    st.tuples(st.just("commit"), paths, uploads.map(manifest), conditions),
    st.tuples(st.just("commit"), paths, st.builds(manifest, uploads, nodes=st.just(())), conditions),
    st.tuples(st.just("abort"), uploads, st.just("no more")),
    st.tuples(
        st.just("gone"),
        st.sampled_from("abcdefgh"),
        st.lists(st.builds(PartId, uploads, st.integers(0, 5)), max_size=12),
    ),
    st.tuples(st.just("begin_move"), paths, copies),
    st.tuples(st.just("commit_move"), paths, copies),
    st.tuples(st.just("abort_move"), copies, st.just("no more")),
    st.tuples(st.just("make_collection"), paths),
    st.tuples(st.just("delete"), paths, conditions),
    st.tuples(st.just("move"), paths, paths, conditions, booleans),
    st.tuples(st.just("copy"), paths, paths, conditions, booleans, booleans),
    st.tuples(st.just("change_properties"), paths, properties, conditions),
    st.tuples(st.just("lock"), locks, conditions, st.builds(manifest, uploads, size=st.just(0), nodes=st.just(()))),
    st.tuples(st.just("refresh"), paths, st.integers(1000, 9000), conditions),
    st.tuples(st.just("unlock"), paths, tokens, conditions),
)


def perform(catalog: JournalledCatalog, operation: tuple[Any, ...]) -> Deferred[Any]:
    """Do an operation; return a Deferred that fires with its result, or with its error as a value."""
    match operation:
        case "move", source, target, condition, overwrite:
            done: Deferred[Any] = catalog.namespace.move(source, target, condition, overwrite=overwrite)
        case "copy", source, target, condition, overwrite, deep:
            done = catalog.namespace.copy(source, target, condition, overwrite=overwrite, deep=deep)
        case "begin", upload, path, nodes:
            done = begin(catalog.ledger, upload, path, nodes)
        case "commit", path, version, condition:
            done = commit(catalog.ledger, path, version, condition)
        case name, *arguments:
            parts = (catalog.ledger, catalog.part_moves, catalog.doomed_parts)
            where = next(each for each in (catalog, *parts, catalog.namespace, catalog.locks) if hasattr(each, name))
            done = getattr(where, name)(*arguments)
    return done.addErrback(lambda failure: (failure.type, failure.getErrorMessage()))


async def everything(catalog: JournalledCatalog) -> tuple[Any, ...]:
    """Return everything that can be seen of a catalog."""
    found = await walk(catalog)
    details = dict(zip(found, await catalog.namespace.details(list(found)), strict=True))
    to_go = {
        node: (await catalog.doomed_parts.doomed_on(node, "", 1000)).parts
        for node in await catalog.doomed_parts.doomed_nodes()
    }
    parts = [PartId(upload, index) for upload in UPLOADS for index in range(6)]
    orphans = {node: await catalog.ledger.orphans(node, parts) for node in "abcdefgh"}
    return found, details, to_go, orphans, fired(catalog.statistics())


@settings(deadline=None)
@given(st.lists(operations, max_size=40))
@pytest_twisted.inlineCallbacks
def test_a_restart_finds_all_as_it_was(found: list[tuple[Any, ...]]) -> Any:
    async def check() -> None:
        front = await started()
        for operation in found:
            await perform(front.catalog, operation)
        for upload in UPLOADS:
            await front.catalog.ledger.abort(upload, "the server stops")
        for copy in COPIES:
            await front.catalog.part_moves.abort_move(copy, "the server stops")
        before = await everything(front.catalog)
        assert await everything((await front.restart()).catalog) == before

    yield Deferred.fromCoroutine(check())


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(operations, st.sampled_from([("hold",), ("release",)])), max_size=40))
@pytest_twisted.inlineCallbacks
def test_changes_that_wait_for_syncs_end_as_if_each_had_come_alone(found: list[tuple[Any, ...]]) -> Any:
    async def check() -> None:
        alone, together = await started(), await started()
        expected, outcomes = [], []
        for operation in found:
            if operation == ("hold",):
                together.journal.hold()
            elif operation == ("release",):
                together.journal.release()
            else:
                expected.append(await perform(alone.catalog, operation))
                outcomes.append(perform(together.catalog, operation))
        together.journal.release()
        assert [await outcome for outcome in outcomes] == expected
        assert await everything(together.catalog) == await everything(alone.catalog)
        assert await everything((await together.restart()).catalog) == await everything((await alone.restart()).catalog)

    yield Deferred.fromCoroutine(check())
