"""Keys as one user sees them: no name leads out of a grant."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import pytest_twisted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from splitd.access.grants import READ, WRITE, Grants, Principal
from splitd.access.limited import LimitedStore
from splitd.errors import Forbidden, LoginRequired, NotFound, PreconditionFailed, SplitdError
from splitd.interfaces.keys import KeyCopy
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.media import NO_MEDIA, Labels
from splitd.model.properties import PropertyChanges
from tests.catalogs import manifest
from tests.unit.catalogs import Front

AS_KEY = Condition(is_key=True)
ALL = frozenset({READ, WRITE})
KEYS = ["a", "a/", "a/b", "a/..", "a/../b", "a//", "a//b", "ab/c", "b", "b/a", "b/a/c", "../a", "..", "/a/b", "a/b/"]

names = st.sampled_from(["a", "b", "ab", "c"])
grants = st.lists(
    st.tuples(
        st.lists(names, max_size=3).map(lambda found: "/".join(["/x", *found])),
        st.sampled_from([frozenset[str](), frozenset({READ})]),
    ),
    max_size=5,
)


def anna(rights: list[tuple[str, frozenset[str]]]) -> Principal:
    return Principal("anna", Grants(rights))


def limited(front: Front, user: Principal) -> LimitedStore:
    # The catalog stands for the whole store, but for the bytes.
    catalog: Any = front.catalog
    return LimitedStore(catalog, catalog.namespace, catalog.keys, catalog.continued, user)


async def filled() -> Front:
    front = await Front().start()
    await front.catalog.make_collection("/x")
    for number, key in enumerate(KEYS):
        await front.put(f"/x/{key}", f"{number:032x}", AS_KEY)
    return front


def is_shown(rights: Grants, prefix: str, key: str) -> bool:
    """Whether each place between the last slash of the prefix and the key can be read."""
    base = prefix.rfind("/") + 1
    names = key.removesuffix("/").split("/")
    places = ["/".join(names[: number + 1]) for number in range(len(names))]
    return all(READ in rights.rights(f"/x/{place}") for place in places if len(place) >= base)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rights=grants, prefix=st.sampled_from(["", "a", "a/", "a//", "a/../", "b/a/", "ab", "../"]))
@pytest_twisted.inlineCallbacks
def test_keys_are_listed_that_can_be_read(rights: list[tuple[str, frozenset[str]]], prefix: str) -> Any:
    yield Deferred.fromCoroutine(are_listed(rights, prefix))


async def are_listed(rights: list[tuple[str, frozenset[str]]], prefix: str) -> None:
    front, user = await filled(), anna(rights)
    store = limited(front, user)
    if READ not in user.grants.rights(f"/x/{prefix[: prefix.rfind('/') + 1]}"):
        with pytest.raises(NotFound):
            await store.list_keys("/x", prefix, "", "", 99)
        return
    page = await store.list_keys("/x", prefix, "", "", 99)
    wanted = [key for key in sorted(KEYS) if key.startswith(prefix) and is_shown(user.grants, prefix, key)]
    assert [each.key for each in page.keys] == wanted
    common = (await store.list_keys("/x", prefix, "", "/", 99)).prefixes
    assert list(common) == sorted(
        {key[: key.index("/", len(prefix)) + 1] for key in wanted if "/" in key[len(prefix) :]}
    )


ODD = [
    "/x/u/../v/a", "/x/u/../../x/v/a", "/x/u/..", "/x/u/../", "/x/u//../v/a", "/x/u/./../v/a", "/x/u/../../../etc",
    "/x/u/", "/x/u//", "/x/v/../u/a", "/x/v/", "/x/v//a", "/x/v/a/", "/x//u/a", "/x/../x/u/a", "//x/u/a",
    "/x/u/\0/../../v/a", "/x/ua", "/x/u\0", "/x/u.", "/x/v/a",
]  # fmt: skip


def calls(store: LimitedStore, path: str) -> list[Callable[[], Deferred[Any]]]:
    """Everything that a user can try at a path."""
    keys: Any = store
    return [
        lambda: keys.find_key(path),
        lambda: keys.list_members(path, "", 9),
        lambda: keys.list_keys(path, "", "", "", 9),
        lambda: keys.list_keys("/x", path.removeprefix("/x/"), "", "", 9),
        lambda: keys.details([path]),
        lambda: keys.make_collection(path),
        lambda: keys.change_properties(path, PropertyChanges({"a": "<a/>"}, ()), ALWAYS),
        lambda: keys.copy_key(KeyCopy("/x/u/a", path, Labels(NO_MEDIA))),
        lambda: keys.copy_key(KeyCopy(path, "/x/u/b")),
        lambda: keys.copy("/x/u/a", path, ALWAYS, deep=True, overwrite=True),
        lambda: keys.copy(path, "/x/u/c", ALWAYS, deep=True, overwrite=True),
        lambda: keys.move("/x/u/a", path, ALWAYS, overwrite=True),
        lambda: keys.move(path, "/x/u/a", ALWAYS, overwrite=True),
        lambda: keys.delete_key(path, ALWAYS),
        lambda: keys.delete_empty(path, ALWAYS),
        lambda: keys.delete(path, ALWAYS),
    ]


@pytest.mark.parametrize("path", ODD)
@pytest.mark.parametrize("has_rule", [False, True])
@pytest_twisted.ensureDeferred
async def test_no_name_leads_out_of_a_grant(path: str, has_rule: bool) -> None:
    """Whatever is tried, all outside of /x/u stays as it is, and none of its versions gets a name inside."""
    front = await Front().start()
    await front.catalog.make_collection("/x")
    await front.catalog.make_collection("/etc")
    outside = ["/x/v/a", "/x/v/b/", "/x/v", "/x/ua", "/x/u", "/x/u.", "/x//u/a", "/x/../x/u/a", "/x/v//a"]
    for number, each in enumerate(outside):
        await front.put(each, f"{number:032x}", AS_KEY)
    await front.put("/x/u/a", "a" * 32, AS_KEY)
    await front.put("/x/u/../v/a", "b" * 32, AS_KEY)
    rules = [("/x/u", ALL), *([("/x/v", frozenset[str]())] if has_rule else [])]
    store = limited(front, anna(rules))

    async def state() -> tuple[dict[str, Any], list[Any]]:
        found = {each: await front.catalog.keys.find_key(each) for each in outside if each != "/x/u"}
        listed = await front.catalog.keys.list_keys("/x", "u/", "", "", 99)
        return found, [each.upload for each in listed.keys if each.upload]

    before, _ = await state()
    for call in calls(store, path):
        with suppress(SplitdError):
            await call()
    after, inside = await state()
    assert after == before
    assert set(inside) <= {"a" * 32, "b" * 32, *(f"{outside.index('/x/u'):032x}",)}


@pytest_twisted.ensureDeferred
async def test_a_rule_below_a_collection_counts_for_it_however_it_is_written() -> None:
    front = await filled()
    store = limited(front, anna([("/", ALL), ("/x/a/b", frozenset({READ}))]))
    for path in ("/x/a", "/x/a/"):
        with pytest.raises(Forbidden):
            await store.delete(path, ALWAYS)
        with pytest.raises(Forbidden):
            await store.move(path, "/y", ALWAYS, overwrite=True)
    for path in ("/x/a/b", "/x/a/b/"):
        with pytest.raises(Forbidden):
            await store.delete_key(path, ALWAYS)
    assert await store.delete_key("/x/a/", ALWAYS)


@pytest_twisted.ensureDeferred
async def test_somebody_who_has_not_logged_in_is_asked_to() -> None:
    front = await filled()
    store = limited(front, Principal("", Grants([])))
    for call in (
        lambda: store.find_key("/x/a"),
        lambda: store.list_keys("/x", "", "", "", 1),
        lambda: store.delete_key("/x/a", ALWAYS),
    ):
        with pytest.raises(LoginRequired):
            await call()


@pytest.mark.parametrize("match", [None, ("*",), tuple(manifest(each * 32).etag for each in "12")])
@pytest_twisted.ensureDeferred
async def test_only_the_version_that_is_published_is_copied_by_others(match: tuple[str, ...] | None) -> None:
    front = await Front().start()
    for bucket in ("/x", "/y"):
        await front.catalog.make_collection(bucket)
    await front.put("/x/a", "1" * 32, AS_KEY)
    await front.catalog.keys.copy_key(KeyCopy("/x/a", "/x/a", Labels(acl="public-read")))
    store, copy = limited(front, anna([("/y", ALL)])), KeyCopy("/x/a", "/y/a", Labels(acl=""), Condition(match))
    assert (await store.copy_key(copy))[0].upload == "1" * 32
    front.journal.hold()
    replaced = front.put("/x/a", "2" * 32, AS_KEY)
    copied = store.copy_key(copy)
    front.journal.release()
    assert not await replaced
    with pytest.raises(PreconditionFailed):
        await copied
    with pytest.raises(NotFound):
        await store.copy_key(copy)
