"""Keys are changed under conditions, copied, deleted with their bucket, and locked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.errors import (
    BadName,
    Locked,
    NotEmpty,
    NotFound,
    ParentMissing,
    PreconditionFailed,
)
from splitd.interfaces.keys import KeyCopy
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.media import SAME, Labels, Media
from splitd.model.tree import Collection
from tests.catalogs import AS_KEY, NODES, A, B, C, manifest
from tests.contract.catalogs.front import Front
from tests.contract.catalogs.test_keys import NO_KEY, bucket, lock

ANY_KEY = attrs.evolve(AS_KEY, match=("*",))


@pytest_twisted.ensureDeferred
async def test_conditions_are_about_the_key_alone(front: Front) -> None:
    await bucket(front, "a/b", "d", "d/")
    for path in ("/x/a", "/x/a/", "/x/c"):
        with pytest.raises(PreconditionFailed):
            await front.keys.delete_key(path, ANY_KEY)
        with pytest.raises(PreconditionFailed):
            await front.catalog.admit(path, ANY_KEY)
        assert (await front.catalog.admit(path, NO_KEY)).present is None
    for path in ("/x/d", "/x/d/"):
        with pytest.raises(PreconditionFailed):
            await front.catalog.admit(path, NO_KEY)
        assert isinstance((await front.catalog.admit(path, ANY_KEY)).present, Manifest)
        assert await front.keys.delete_key(path, ANY_KEY)


@pytest_twisted.ensureDeferred
async def test_a_copy_shares_the_parts_until_the_last_name_is_gone(front: Front) -> None:
    await bucket(front)
    await front.put_key("/x/a", A)
    front.clock.advance(5)
    copied, is_new = await front.keys.copy_key(KeyCopy("/x/a", "/x/b/c/", Labels(Media("text/plain"))))
    assert (copied.upload, copied.created_ms, copied.content_type, is_new) == (A, 6000, "text/plain", True)
    again, is_new = await front.keys.copy_key(KeyCopy("/x/a", "/x/a", Labels(Media("text/html"))))
    assert (again.content_type, is_new) == ("text/html", False)
    for reopened in (front, await front.reopen()):
        assert await reopened.keys.find_key("/x/a") == again
        assert await reopened.keys.find_key("/x/b/c/") == copied
        assert (await reopened.statistics()).files == 2
    await reopened.keys.delete_key("/x/a", ALWAYS)
    assert await reopened.doomed() == {}
    assert await reopened.versions.find_all([A]) != [None]
    await reopened.keys.delete_key("/x/b/c/", ALWAYS)
    assert sorted(await reopened.doomed()) == list("abcdef")
    assert await reopened.names() == ["/", "/x"]


@pytest_twisted.ensureDeferred
async def test_a_key_that_only_gets_other_tags_or_another_acl_keeps_its_time(front: Front) -> None:
    await bucket(front)
    await front.put_key("/x/b/", A)
    front.clock.advance(5)
    await front.put_key("/x/a", B)
    [made, folder] = [await front.catalog.lookup(path) for path in ("/x/a", "/x/")]
    assert isinstance(made, Manifest)
    assert isinstance(folder, Collection)
    front.clock.advance(5)
    for path in ("/x/a", "/x/b/"):
        before = await front.keys.find_key(path)
        assert isinstance(before, Manifest)
        for said in ({"tags": (("k", "v"),)}, {"acl": "public-read"}, {"tags": (), "acl": ""}):
            found = await front.keys.find_key(path)
            assert isinstance(found, Manifest)
            media = msgspec.structs.replace(found.media, **said)
            copied, _ = await front.keys.copy_key(KeyCopy(path, path, Labels(**said), relabels=True))
            assert (copied.created_ms, copied.media) == (before.created_ms, media)
    for reopened in (front, await front.reopen()):
        assert await reopened.catalog.lookup("/x/") == folder, "no time of a collection goes back"
    copied, _ = await reopened.keys.copy_key(KeyCopy("/x/a", "/x/a", Labels(tags=(("k", "v"),))))
    assert copied.created_ms > made.created_ms, "the copy is a new object"


@pytest_twisted.ensureDeferred
async def test_labels_that_are_not_given_are_those_at_the_time_of_the_copy(front: Front) -> None:
    await bucket(front)
    said = Media("text/plain", etag="e", checksum="CRC32:AA==", metadata=(("m", "1"),), tags=(("k", "v"),))
    public = msgspec.structs.replace(said, acl="public-read")
    await front.begin(A, "/x/a", NODES)
    await front.commit("/x/a", msgspec.structs.replace(manifest(A), said=public), AS_KEY)
    front.place.hold()
    waiting = [
        front.keys.copy_key(KeyCopy("/x/a", "/x/a", labels, relabels=True))
        for labels in (Labels(acl=""), Labels(tags=()), Labels(Media("text/html", etag="f", tags=(("x", "y"),))))
    ]
    front.place.release()
    private, bare, other = [(await each)[0].media for each in waiting]
    assert private == said
    assert bare == msgspec.structs.replace(said, tags=())
    assert other == msgspec.structs.replace(bare, type="text/html", metadata=())


@pytest_twisted.ensureDeferred
async def test_a_collection_that_gets_labels_is_an_empty_file_as_old_as_before(front: Front) -> None:
    await bucket(front)
    await front.catalog.make_collection("/x/a")
    front.clock.advance(5)
    await front.put_key("/x/b", A)
    before = await front.catalog.lookup("/x/")
    copied, _ = await front.keys.copy_key(KeyCopy("/x/a/", "/x/a/", Labels(tags=(("k", "v"),)), relabels=True))
    assert (copied.size, copied.created_ms, copied.media.tags) == (0, 1000, (("k", "v"),))
    for reopened in (front, await front.reopen()):
        assert await reopened.keys.find_key("/x/a/") == copied
        assert await reopened.catalog.lookup("/x/") == before, "no time of a collection goes back"


@pytest_twisted.ensureDeferred
async def test_a_copy_of_what_a_collection_is_made_from_is_an_empty_file(front: Front) -> None:
    await bucket(front)
    await front.catalog.make_collection("/x/a")
    for target in ("/x/b", "/x/c/"):
        copied, is_new = await front.keys.copy_key(KeyCopy("/x/a/", target))
        assert (copied.size, copied.nodes, is_new) == (0, (), True)
        assert await front.keys.find_key(target) == copied
    assert await (await front.reopen()).listed() == ["a/", "b", "c/"]


@pytest_twisted.ensureDeferred
async def test_a_copy_is_judged_by_both_conditions(front: Front) -> None:
    await bucket(front, "a", "b")
    other = Condition(match=(manifest(C).etag,))
    for conditions in ((other, ALWAYS), (ALWAYS, other), (ALWAYS, Condition(none_match=("*",)))):
        with pytest.raises(PreconditionFailed):
            await front.keys.copy_key(KeyCopy("/x/a", "/x/b", SAME, *conditions))
    with pytest.raises(NotFound):
        await front.keys.copy_key(KeyCopy("/x/c", "/x/d"))
    with pytest.raises(ParentMissing):
        await front.keys.copy_key(KeyCopy("/x/a", "/y/a"))


@pytest_twisted.ensureDeferred
async def test_a_bucket_is_deleted_only_if_it_is_empty(front: Front) -> None:
    await bucket(front, "a/b")
    with pytest.raises(NotEmpty):
        await front.keys.delete_empty("/x", ALWAYS)
    front.place.hold()
    outcomes = [
        front.keys.delete_key("/x/a/b", ALWAYS),
        front.keys.delete_empty("/x", ALWAYS),
        front.put_key("/x/c", A).addErrback(lambda each: each.type),
    ]
    front.place.release()
    assert [await each for each in outcomes] == [True, None, ParentMissing]
    for path, error in (("/x", NotFound), ("/", BadName)):
        with pytest.raises(error):
            await front.keys.delete_empty(path, ALWAYS)
    assert await (await front.reopen()).names() == ["/"]


@pytest_twisted.ensureDeferred
async def test_locks_are_about_the_file_and_the_collection_of_a_name(front: Front) -> None:
    await bucket(front, "a/b", "a", "c/d")
    await front.locks.lock(lock("/x/a"), ALWAYS, manifest(C, size=0, nodes=()))
    calls: list[Callable[[], Deferred[Any]]] = [
        lambda: front.put_key("/x/a", A),
        lambda: front.put_key("/x/a/", B),
        lambda: front.put_key("/x/a/new", "d" * 32),
        lambda: front.keys.delete_key("/x/a", ALWAYS),
        lambda: front.keys.delete_key("/x/a/b", ALWAYS),
        lambda: front.keys.copy_key(KeyCopy("/x/c/d", "/x/a")),
    ]
    for call in calls:
        with pytest.raises(Locked):
            await call()
    await front.put_key("/x/a/b", "e" * 32)  # the lock is not deep
    await front.locks.unlock("/x/a/", "urn:1", ALWAYS)
    await front.locks.lock(lock("/x/a/", deep=True), ALWAYS, manifest(C, size=0, nodes=()))
    for path in ("/x/a", "/x/a/b", "/x/a/../c"):
        with pytest.raises(Locked):
            await front.put_key(path, "f" * 32)
    assert await front.keys.delete_key("/x/c/d", ALWAYS)


@pytest_twisted.ensureDeferred
async def test_a_lock_on_a_collection_keeps_what_is_implied_in_it(front: Front) -> None:
    await bucket(front, "a/b")
    await front.locks.lock(lock("/x"), ALWAYS, manifest(C, size=0, nodes=()))
    with pytest.raises(Locked):
        await front.keys.delete_key("/x/a/b", ALWAYS)  # it would take /x/a along
    with pytest.raises(Locked):
        await front.put_key("/x/c/d", A)  # it would make /x/c
    await front.put_key("/x/a/c", B)
    await front.keys.delete_key("/x/a/b", ALWAYS)


@pytest_twisted.ensureDeferred
async def test_a_file_that_goes_leaves_the_locks_of_the_collection_of_its_name(front: Front) -> None:
    await bucket(front, "a/b", "a")
    await front.locks.lock(lock("/x/a/b"), ALWAYS, manifest(C, size=0, nodes=()))
    await front.keys.delete_key("/x/a", ALWAYS)
    with pytest.raises(Locked):
        await front.keys.delete_key("/x/a/b", ALWAYS)
    await front.put_key("/x/a", A)
    await front.namespace.move("/x/a", "/x/c", ALWAYS, overwrite=True)
    await front.put_key("/x/a", B)
    await front.namespace.copy("/x/c", "/x/a", ALWAYS, deep=True, overwrite=True)
    with pytest.raises(Locked):
        await front.keys.delete_key("/x/a/b", ALWAYS)
