from __future__ import annotations

from typing import Any

import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from splitd.catalog.journalled import JournalledCatalog
from splitd.interfaces import Doomed
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.holdings import PartCopy
from tests.unit.catalogs import NEW, NODES, A, B, C, doomed, manifest, started, walk

paths = st.sampled_from(["/", "/a", "/b", "/a/b", "/a/b/c", "/a/c", "/b/c", "bad"])
uploads = st.sampled_from([A, B, C, "1" * 32, "2" * 32, "3" * 32])
conditions = st.sampled_from([ALWAYS, ALWAYS, NEW, Condition(match=("*",)), Condition(match=(manifest(A).etag,))])
COPIES = [PartCopy(upload, index, node) for upload in (A, B) for index in (0, 1) for node in ("a", "g", "h")]
copies = st.sampled_from(COPIES)


def doomed_copy(copy: PartCopy) -> Doomed:
    return Doomed(copy.upload, ((copy.node, str(copy.part)),), is_copy=True)


operations = st.one_of(
    st.tuples(st.just("begin"), uploads, paths, st.just(NODES)),
    st.tuples(st.just("commit"), paths, uploads.map(manifest), conditions),
    st.tuples(st.just("commit"), paths, st.builds(manifest, uploads, nodes=st.just(())), conditions),
    st.tuples(st.just("abort"), uploads, st.just("no more")),
    st.tuples(st.just("reaped"), uploads.map(doomed) | copies.map(doomed_copy)),
    st.tuples(st.just("begin_move"), paths, copies),
    st.tuples(st.just("commit_move"), paths, copies),
    st.tuples(st.just("abort_move"), copies, st.just("no more")),
    st.tuples(st.just("make_collection"), paths),
    st.tuples(st.just("delete"), paths, conditions),
)


def perform(catalog: JournalledCatalog, operation: tuple[Any, ...]) -> Deferred[Any]:
    """Do it; fires with how it ends, be it well or not."""
    name, *arguments = operation
    done: Deferred[Any] = getattr(catalog, name)(*arguments)
    return done.addErrback(lambda failure: (failure.type, failure.getErrorMessage()))


async def everything(catalog: JournalledCatalog) -> tuple[Any, ...]:
    return await walk(catalog), {each.key: each for each in await catalog.doomed(1000, ())}, catalog.statistics()


@settings(deadline=None)
@given(st.lists(operations, max_size=40))
@pytest_twisted.inlineCallbacks
def test_a_restart_finds_all_as_it_was(found: list[tuple[Any, ...]]) -> Any:
    async def check() -> None:
        front = await started()
        for operation in found:
            await perform(front.catalog, operation)
        for upload in (A, B, C, "1" * 32, "2" * 32, "3" * 32):
            await front.catalog.abort(upload, "the server stops")
        for copy in COPIES:
            await front.catalog.abort_move(copy, "the server stops")
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
