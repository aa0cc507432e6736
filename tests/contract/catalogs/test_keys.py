"""Keys: each a name of its own, whatever other keys there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import pytest_twisted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.python.threadpool import ThreadPool

from splitd.errors import (
    BadName,
    Entangled,
    NameTaken,
    NotACollection,
    NotAFile,
    NotFound,
    ParentMissing,
    PreconditionFailed,
)
from splitd.interfaces.keys import KeyCopy
from splitd.model.conditions import ALWAYS
from splitd.model.locks import EXCLUSIVE, Lock
from splitd.model.properties import PropertyChanges
from splitd.model.tree import Collection
from tests.catalogs import AS_KEY, A, B, C, manifest
from tests.contract.catalogs.front import Front
from tests.contract.catalogs.test_model import started

NO_KEY = attrs.evolve(AS_KEY, none_match=("*",))
ODD = [
    "a",
    "a/",
    "a/b",
    "a//b",
    "//",
    "/",
    ".",
    "..",
    "../..",
    "a/./b",
    "a/../b",
    "\x00",
    "a\n",
    "\x7f/\x01",
    "é" * 512,
]
MANY = ["-/" * 500 + "a", *(f"{number:03}/a" for number in range(350))]
"""Keys of which a page is made in several steps: the way to the first one is long, and the others are many."""


async def bucket(front: Front, *keys: str) -> None:
    """Make /x with some keys in it."""
    await front.catalog.make_collection("/x")
    await gatherResults([front.put_key(f"/x/{key}", f"{number:032x}") for number, key in enumerate(keys)])


def lock(path: str, *, deep: bool = False) -> Lock:
    return Lock(path, "urn:1", EXCLUSIVE, deep, "", 1000, 90_000)


@pytest_twisted.ensureDeferred
async def test_every_key_is_a_name_of_its_own(front: Front) -> None:
    await bucket(front, *ODD)
    for again in (front, await front.reopen()):
        assert await again.listed() == sorted(ODD)
        for number, key in enumerate(ODD):
            assert await again.keys.find_key(f"/x/{key}") == manifest(f"{number:032x}")
    for key in ODD:
        assert await again.keys.delete_key(f"/x/{key}", ALWAYS)
        assert not await again.keys.delete_key(f"/x/{key}", ALWAYS)
    assert await again.names() == ["/", "/x"]


@pytest.mark.parametrize("path", ["/", "/x", "/x/", "x/a", "", "/x/" + "a" * 1025, "/x/" + "é" * 513, "/x/\ud800"])
@pytest_twisted.ensureDeferred
async def test_what_is_not_the_path_of_a_key_is_refused(front: Front, path: str) -> None:
    await bucket(front, "a")
    calls: list[Callable[[], Deferred[Any]]] = [
        lambda: front.catalog.admit(path, AS_KEY),
        lambda: front.keys.find_key(path),
        lambda: front.keys.delete_key(path, ALWAYS),
        lambda: front.keys.copy_key(KeyCopy(path, "/x/b")),
        lambda: front.keys.copy_key(KeyCopy("/x/a", path)),
    ]
    for call in calls:
        with pytest.raises(BadName):
            await call()


@pytest_twisted.ensureDeferred
async def test_a_key_implies_the_collections_that_it_lies_in_but_no_bucket(front: Front) -> None:
    await bucket(front, "a/b/c")
    assert await front.listed() == ["a/b/c"]
    assert await front.names() == ["/", "/x", "/x/a", "/x/a/b", "/x/a/b/c"]
    assert await front.keys.find_key("/x/a/") is None
    found = await front.catalog.lookup("/x/a")
    assert isinstance(found, Collection)
    assert found.implied
    await front.begin(A, "/y/a")
    for path in ("/y/a", "/y/a/b", "/y/a/"):
        with pytest.raises(ParentMissing):
            await front.catalog.admit(path, AS_KEY)
        with pytest.raises(ParentMissing):
            await front.commit(path, manifest(A), AS_KEY)


@pytest.mark.parametrize("gone", ["delete_key", "delete", "delete tree", "move"])
@pytest_twisted.ensureDeferred
async def test_what_is_only_implied_goes_with_the_last_key_in_it(front: Front, gone: str) -> None:
    await bucket(front, "a/b/c", "a/d")
    await front.keys.delete_key("/x/a/d", ALWAYS)
    assert await front.names() == ["/", "/x", "/x/a", "/x/a/b", "/x/a/b/c"]
    match gone:
        case "delete_key":
            await front.keys.delete_key("/x/a/b/c", ALWAYS)
        case "delete":
            await front.catalog.delete("/x/a/b/c", ALWAYS)
        case "delete tree":
            await front.catalog.delete("/x/a/b", ALWAYS)
        case _:
            await front.namespace.move("/x/a/b/c", "/g", ALWAYS, overwrite=True)
    left = ["/", "/g", "/x"] if gone == "move" else ["/", "/x"]
    assert await front.names() == left
    assert await (await front.reopen()).names() == left


@pytest_twisted.ensureDeferred
async def test_a_collection_that_was_made_is_a_key_of_no_bytes_and_stays(front: Front) -> None:
    await bucket(front)
    await front.catalog.make_collection("/x/a")
    await front.put_key("/x/a/b", A)
    assert await front.listed() == ["a/", "a/b"]
    assert isinstance(await front.keys.find_key("/x/a/"), Collection)
    await front.keys.delete_key("/x/a/b", ALWAYS)
    assert await front.listed() == ["a/"]
    assert await front.keys.delete_key("/x/a/", ALWAYS)
    assert await front.names() == ["/", "/x"]


@pytest_twisted.ensureDeferred
async def test_a_collection_is_a_file_itself_until_this_key_is_deleted(front: Front) -> None:
    await bucket(front, "a/b", "a/")
    itself = manifest(f"{1:032x}")
    for again in (front, await front.reopen()):
        assert await again.keys.find_key("/x/a/") == itself
        found = await again.catalog.lookup("/x/a")
        assert isinstance(found, Collection)
        assert (found.own, found.implied) == (itself, False)
    await again.put_key("/x/a/", C)
    assert (await again.doomed())["a"] == [f"{1:032x}.0"]
    assert await again.keys.delete_key("/x/a/", ALWAYS)
    assert (await again.doomed())["a"] == [f"{1:032x}.0", f"{C}.0"]
    assert await again.listed() == ["a/b"]
    assert not await again.keys.delete_key("/x/a/", ALWAYS)
    await again.keys.delete_key("/x/a/b", ALWAYS)
    assert await again.names() == ["/", "/x"]


@pytest_twisted.ensureDeferred
async def test_properties_make_an_implied_collection_stay(front: Front) -> None:
    await bucket(front, "a/b")
    await front.namespace.change_properties("/x/a", PropertyChanges({"p": "<p/>"}, ()), ALWAYS)
    await front.keys.delete_key("/x/a/b", ALWAYS)
    again = await front.reopen()
    assert await again.listed() == ["a/"]
    [details] = await again.namespace.details(["/x/a"])
    assert dict(details.properties) == {"p": "<p/>"}


@pytest_twisted.ensureDeferred
async def test_deleting_a_key_deletes_no_other_one(front: Front) -> None:
    await bucket(front, "a/b", "a", "a/")
    for key, left in (("a", ["a/", "a/b"]), ("a/", ["a/b"])):
        assert await front.keys.delete_key(f"/x/{key}", ALWAYS)
        assert await front.listed() == left
    for key in ("a", "a/", "a/b/"):
        assert not await front.keys.delete_key(f"/x/{key}", ALWAYS)
    assert await front.listed() == ["a/b"]


@pytest_twisted.ensureDeferred
async def test_a_path_without_a_slash_is_that_of_the_file_if_there_is_one(front: Front) -> None:
    await bucket(front, "a/b", "a")
    assert await front.catalog.lookup("/x/a") == manifest(f"{1:032x}")
    assert isinstance(await front.catalog.lookup("/x/a/"), Collection)
    assert [each.name for each in await front.catalog.list_members("/x", "", 9)] == ["a", "a/"]
    assert [each.name for each in await front.catalog.list_members("/x", "a", 9)] == ["a/"]
    assert await front.catalog.list_members("/x", "a/", 9) == []
    with pytest.raises(NotACollection):
        await front.catalog.list_members("/x/a", "", 9)
    await front.catalog.delete("/x/a", ALWAYS)
    assert isinstance(await front.catalog.lookup("/x/a"), Collection)
    await front.catalog.delete("/x/a", ALWAYS)
    assert await front.names() == ["/", "/x"]


@pytest.mark.parametrize("is_copy", [False, True])
@pytest_twisted.ensureDeferred
async def test_what_is_moved_or_copied_to_a_file_leaves_the_collection_of_its_name(front: Front, is_copy: bool) -> None:
    await bucket(front, "a/b", "a", "c/d", "e")
    keys = await front.listed()

    def transfer(source: str, target: str) -> Deferred[bool]:
        if is_copy:
            return front.namespace.copy(source, target, ALWAYS, deep=True, overwrite=True)
        return front.namespace.move(source, target, ALWAYS, overwrite=True)

    for source, target, error in (
        ("/x/c", "/x/a", NameTaken),
        ("/x/a/", "/x/a", Entangled),
        ("/x/a/b", "/x/a/b", Entangled),
        ("/x/a/", "/x/a/c", Entangled),
    ):
        with pytest.raises(error):
            await transfer(source, target)
    assert await front.listed() == keys
    assert not await transfer("/x/e", "/x/a")
    assert await transfer("/x/a", "/x/a/c")  # a file does not lie in the collection of its name
    assert await front.listed() == (["a", "a/b", "a/c", "c/d", "e"] if is_copy else ["a/b", "a/c", "c/d"])
    for key in await front.listed():
        await front.keys.delete_key(f"/x/{key}", ALWAYS)
    assert await front.names() == ["/", "/x"]
    assert (await front.statistics()).files == 0
    assert len((await front.doomed())["a"]) == 4


@pytest_twisted.ensureDeferred
async def test_what_is_no_key_follows_the_rules_of_collections(front: Front) -> None:
    await bucket(front, "a/b", "c")
    with pytest.raises(NotAFile):
        await front.put("/x/a", A)
    with pytest.raises(ParentMissing):
        await front.put("/x/c/d", B)
    with pytest.raises(NameTaken):
        await front.catalog.make_collection("/x/c")
    for path in ("/x/..", "/x//a", "/x/d/", "/x/\x01"):
        with pytest.raises(BadName):
            await front.put(path, C)
        with pytest.raises(BadName):
            await front.catalog.make_collection(path)
        with pytest.raises(BadName):
            await front.namespace.move("/x/c", path, ALWAYS, overwrite=True)
        with pytest.raises(BadName):
            await front.locks.lock(lock(path), ALWAYS, manifest(C, size=0, nodes=()))


@pytest_twisted.ensureDeferred
async def test_what_lies_in_implied_collections_outlives_them(front: Front) -> None:
    """Changes that were judged while the collection was there are made although it has gone meanwhile."""
    await bucket(front, "a/b", "g", "h")
    await front.catalog.make_collection("/c")
    await front.begin(A, "/x/a/put")
    front.place.hold()
    changes: list[Deferred[Any]] = [
        front.keys.delete_key("/x/a/b", ALWAYS),
        front.commit("/x/a/put", manifest(A)),
        front.catalog.make_collection("/x/a/made"),
        front.namespace.move("/c", "/x/a/moved", ALWAYS, overwrite=True),
        front.namespace.copy("/x/g", "/x/a/copied", ALWAYS, deep=True, overwrite=True),
        front.keys.copy_key(KeyCopy("/x/h", "/x/a/b/c")),
        front.locks.lock(lock("/x/a/locked"), ALWAYS, manifest(C, size=0, nodes=())),
    ]
    front.place.release()
    names = ["g", "a/put", "a/made/", "a/moved/", "a/copied", "a/b/c", "a/locked"]
    listed = ["g", "h"]
    for change, name in zip(changes, names, strict=True):
        try:
            await change
        except ParentMissing:  # it was judged when the collection was gone
            assert not front.place.judges_ahead
            assert name != "a/b/c"
        else:
            listed = sorted({*listed, name})
    assert await front.listed() == listed
    assert await (await front.reopen()).listed() == listed


@pytest_twisted.ensureDeferred
async def test_one_of_those_who_create_a_key_wins(front: Front) -> None:
    await bucket(front)
    front.place.hold()
    outcomes = [front.put_key("/x/a/b", f"{each:032x}", NO_KEY).addErrback(lambda each: each.type) for each in range(9)]
    front.place.release()
    assert [await each for each in outcomes] == [True] + [PreconditionFailed] * 8
    assert await front.keys.find_key("/x/a/b") == manifest(f"{0:032x}")


@pytest_twisted.ensureDeferred
async def test_pages_can_be_asked_for_only_of_collections(front: Front) -> None:
    await bucket(front, "a")
    for path, error in (("/y", NotFound), ("/x/a", NotACollection)):
        for limit in (0, 1):
            with pytest.raises(error):
                await front.keys.list_keys(path, "", "", "", limit)
    page = await front.keys.list_keys("/x", "", "", "", 0)
    assert (page.keys, page.prefixes, page.next) == ([], [], None)


@pytest_twisted.ensureDeferred
async def test_a_long_page_is_made_in_steps_and_goes_on_after_changes(front: Front) -> None:
    from twisted.internet import reactor

    await bucket(front, *MANY)
    page = front.keys.list_keys("/x", "", "", "", 1000)
    assert not page.called
    await front.keys.delete_key("/x/349/a", ALWAYS)
    while not page.called:
        front.clock.advance(0)
        await deferLater(reactor, 0)
    assert [each.key for each in (await page).keys] == MANY[:-1]
    page = front.keys.list_keys("/x", "", "", "", 1000)
    page.cancel()
    with pytest.raises(CancelledError):
        await page


@pytest_twisted.ensureDeferred
async def test_others_look_while_a_page_over_many_collections_is_made(front: Front) -> None:
    from twisted.internet import reactor

    await bucket(front, *MANY)
    page = front.keys.list_keys("/x", "", "", "", 1000)
    assert await front.keys.find_key("/x/none") is None
    assert not page.called
    while not page.called:
        front.clock.advance(0)
        await deferLater(reactor, 0)
    assert [each.key for each in (await page).keys] == MANY


texts = st.text("ab/.", min_size=1, max_size=4)
operations = st.one_of(
    st.tuples(st.just("put"), texts, texts),
    st.tuples(st.just("delete"), texts, texts),
    st.tuples(st.just("copy"), texts, texts),
    st.tuples(st.just("reopen"), texts, texts),
)


async def is_a_dict(pool: ThreadPool, history: list[tuple[str, str, str]]) -> None:
    async with started("memory", pool) as front:
        await front.catalog.make_collection("/x")
        oracle: dict[str, str] = {}
        for number, (operation, key, other) in enumerate(history):
            path, upload = f"/x/{key}", f"{number:032x}"
            match operation:
                case "put":
                    assert await front.put_key(path, upload) == (key not in oracle)
                    oracle[key] = upload
                case "delete":
                    assert await front.keys.delete_key(path, ALWAYS) == (key in oracle)
                    oracle.pop(key, None)
                case "copy" if key in oracle:
                    _, is_new = await front.keys.copy_key(KeyCopy(path, f"/x/{other}"))
                    assert is_new == (other not in oracle)
                    oracle[other] = oracle[key]
                case "reopen":
                    front = await front.reopen()  # noqa: PLW2901 - it goes on with it
                case _:
                    pass
        found = {each.key: each.upload for each in (await front.keys.list_keys("/x", "", "", "", 99)).keys}
        assert found == oracle
        assert list(found) == sorted(oracle)
        for key in oracle:
            await front.keys.delete_key(f"/x/{key}", ALWAYS)
        await front.keys.delete_empty("/x", ALWAYS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(operations, max_size=30))
@pytest_twisted.inlineCallbacks
def test_keys_are_a_dict(pool: ThreadPool, history: list[tuple[str, str, str]]) -> Any:
    yield Deferred.fromCoroutine(is_a_dict(pool, history))
