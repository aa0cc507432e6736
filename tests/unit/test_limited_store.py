"""The store as one user sees it, against a naive oracle: which calls reach the store, and how others are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, maybeDeferred, succeed

from splitd.access.grants import ADMIN, READ, WRITE, Grants, Principal
from splitd.access.judge import Judge
from splitd.access.limited import LimitedStore
from splitd.access.limited_continued import LimitedContinuedUploads
from splitd.access.limited_locks import LimitedLocks
from splitd.access.publishing import Publishing
from splitd.errors import Forbidden, LoginRequired, NotFound
from splitd.interfaces.continued import ContinuedUpload
from splitd.interfaces.keys import KeyCopy
from splitd.interfaces.names import Details
from splitd.model.conditions import ALWAYS
from splitd.model.locks import EXCLUSIVE, Lock
from splitd.model.manifest import Manifest
from splitd.model.media import NO_MEDIA, Media
from splitd.model.properties import PropertyChanges
from splitd.model.tree import Collection, Member
from tests.unit.test_grants import GRANTS, PATHS, leads_to, naive

FILE = Manifest("0" * 32, 0, 0, 1, 0, 1, ())
Rights = list[tuple[str, frozenset[str]]]


class Recorder:
    """A store, its names and its locks; each call succeeds and is noted."""

    def __init__(self, names: list[str] | None = None) -> None:
        self.calls = 0
        self._names = names or []

    def __getattr__(self, name: str) -> Callable[..., Deferred[Any]]:
        def call(*_: Any, **__: Any) -> Deferred[Any]:
            self.calls += 1
            return succeed(None)

        return call

    def details(self, paths: list[str]) -> Deferred[list[Details]]:
        return succeed([Details({"x": path}, ()) for path in paths])

    def stat(self, _: str) -> Deferred[Manifest]:
        return succeed(FILE)  # a look changes nothing: what counts is whether it is told

    find_key = stat

    def open(self, _: str, span_of: Callable[[Manifest], object]) -> Deferred[None]:
        return maybeDeferred(self._open, span_of)

    def _open(self, span_of: Callable[[Manifest], object]) -> None:
        span_of(FILE)  # nothing is opened before that has returned
        self.calls += 1

    def list_members(self, _: str, after: str, limit: int) -> Deferred[list[Member]]:
        return succeed([Member(name, Collection(0, 0)) for name in self._names if name > after][:limit])


def outcome(deferred: Deferred[Any]) -> type[Exception] | None:
    found: list[Any] = []
    deferred.addCallbacks(lambda _: found.append(None), lambda failure: found.append(failure.type))
    return found[0]  # type: ignore[no-any-return] - all of it is synchronous


@attrs.frozen
class Asked:
    store: Any
    locks: Any
    source: str
    target: str


CALLS: dict[str, tuple[Callable[[Asked], Deferred[Any]], str]] = {
    # what is called, and what it needs, in the order of judging: r or w, R or W for all below, of 1 source or 2 target
    "create": (lambda a: a.store.create(a.source, 1, NO_MEDIA, ALWAYS), "w1"),
    "open": (lambda a: a.store.open(a.source, lambda _: None), "r1"),
    "make_collection": (lambda a: a.store.make_collection(a.source), "w1"),
    "delete": (lambda a: a.store.delete(a.source, ALWAYS), "W1"),
    "move": (lambda a: a.store.move(a.source, a.target, ALWAYS, overwrite=True), "R1 W1 W2"),
    "copy": (lambda a: a.store.copy(a.source, a.target, ALWAYS, deep=True, overwrite=True), "R1 W2"),
    "copy shallow": (lambda a: a.store.copy(a.source, a.target, ALWAYS, deep=False, overwrite=True), "r1 W2"),
    "change_properties": (lambda a: a.store.change_properties(a.source, PropertyChanges({}, ()), ALWAYS), "w1"),
    "delete_key": (lambda a: a.store.delete_key(a.source, ALWAYS), "w1"),
    "copy_key": (lambda a: a.store.copy_key(KeyCopy(a.source, a.target)), "r1 w2"),
    "delete_empty": (lambda a: a.store.delete_empty(a.source, ALWAYS), "W1"),
    "list_keys": (lambda a: a.store.list_keys(a.source, "", "", "", 1), "r1"),
    "begin continued": (lambda a: a.store.continued.begin(a.source, NO_MEDIA, ALWAYS), "w1"),
    "put_segment": (lambda a: a.store.continued.put_segment(a.source, "u", 1, 1), "w1"),
    "read": (lambda a: a.store.continued.read(a.source, "u", []), "w1"),
    "find continued": (lambda a: a.store.continued.find(a.source, "u"), "w1"),
    "list_segments": (lambda a: a.store.continued.list_segments(a.source, "u", 0, 1), "w1"),
    "complete": (lambda a: a.store.continued.complete(a.source, "u", [], ALWAYS), "w1"),
    "abort continued": (lambda a: a.store.continued.abort(a.source, "u", ""), "w1"),
    "asked_layout": (lambda a: a.store.asked_layout(a.source), "r1"),
    "lock": (lambda a: a.store.lock(a.source, EXCLUSIVE, ALWAYS, deep=False, owner="", timeout_s=1), "w1"),
    "lock deep": (lambda a: a.store.lock(a.source, EXCLUSIVE, ALWAYS, deep=True, owner="", timeout_s=1), "W1"),
    "requested": (lambda a: a.locks.lock(Lock(a.source, "t", EXCLUSIVE, True, "", 0, 1), ALWAYS, None), "W1"),
    "refresh": (lambda a: a.locks.refresh(a.source, 1, ALWAYS), "w1"),
    "check": (lambda a: a.locks.check(a.source, ALWAYS, changing=False), "r1"),
    "check changing": (lambda a: a.locks.check(a.source, ALWAYS, changing=True), "w1"),
}


CONTINUED = {"begin continued", "put_segment", "read", "find continued", "list_segments", "complete", "abort continued"}
"""The calls of `LimitedContinuedUploads`."""


def needed(needs: str, source: str, target: str) -> list[tuple[str, str, bool]]:
    rights = {"r": READ, "w": WRITE}
    paths = {"1": source, "2": target}
    return [(paths[which], rights[kind.lower()], kind.isupper()) for kind, which in needs.split()]


def has(grants: Rights, path: str, right: str, *, below: bool) -> bool:
    places = [path, *(each for each, _ in grants if below and leads_to(path, each))]
    return all(right in naive(grants, place) for place in places)


@given(GRANTS, PATHS, PATHS, st.sampled_from(sorted(CALLS)), st.booleans())
def test_a_call_reaches_the_store_if_each_of_its_paths_has_the_right(
    grants: Rights, source: str, target: str, name: str, is_anonymous: bool
) -> None:
    call, needs = CALLS[name]
    recorder, principal = Recorder(), Principal("" if is_anonymous else "anna", Grants(grants))
    store, locks = (
        LimitedStore(recorder, recorder, recorder, recorder, principal),
        LimitedLocks(recorder, recorder, principal),
    )
    missing = [
        (path, right)
        for path, right, below in needed(needs, source, target)
        if not has(grants, path, right, below=below)
    ]
    found = outcome(call(Asked(store, locks, source, target)))
    if not missing:
        assert (found, recorder.calls) == (None, 1)
    else:
        hidden = READ not in naive(grants, missing[0][0])
        assert found is (LoginRequired if is_anonymous else NotFound if hidden else Forbidden)
        assert recorder.calls == 0


def test_no_call_is_forgotten() -> None:
    offered = {name for kind in (LimitedStore, LimitedLocks) for name in vars(kind) if not name.startswith("_")}
    uploads = {name for name in vars(LimitedContinuedUploads) if not name.startswith("_")}
    assert uploads == {*(name.partition(" ")[0] for name in CONTINUED), "list_uploads"}
    own = {"stat", "find_key", "list_members", "details", "unlock"}  # which have tests of their own
    own |= {"read_kept", "read_soon", "stat_soon", "create_soon"}
    assert offered - own == {name.partition(" ")[0] for name in CALLS.keys() - CONTINUED} - {"requested"} | {"bin"}


@given(GRANTS, PATHS)
def test_what_is_in_memory_is_given_to_those_who_may_read_it(grants: Rights, path: str) -> None:
    recorder = Recorder()
    store = LimitedStore(recorder, recorder, recorder, recorder, Principal("anna", Grants(grants)))
    read = store.read_kept(path), store.read_soon(path), store.stat_soon(path)
    may_read = READ in naive(grants, path)
    assert ([each is not None for each in read], recorder.calls) == ([may_read] * 3, 3 * may_read)


@given(GRANTS, PATHS, st.booleans())
def test_a_file_whose_bytes_are_there_is_stored_for_those_who_may_write(
    grants: Rights, path: str, is_published: bool
) -> None:
    recorder = Recorder()
    store = LimitedStore(recorder, recorder, recorder, recorder, Principal("anna", Grants(grants)))
    put = store.create_soon(path, 4, Media("", acl="public-read" if is_published else ""), ALWAYS)
    may = WRITE in naive(grants, path) and not is_published
    assert (put is not None, recorder.calls) == (may, int(may))


@given(GRANTS, PATHS, st.booleans())
def test_what_cannot_be_read_is_not_there(grants: Rights, path: str, is_anonymous: bool) -> None:
    recorder = Recorder()
    store = LimitedStore(
        recorder, recorder, recorder, recorder, Principal("" if is_anonymous else "anna", Grants(grants))
    )
    rights = naive(grants, path)
    for look in (store.stat, store.find_key):
        told: list[Manifest | Collection | None] = []
        refused = outcome(look(path).addCallback(told.append))
        assert refused is (LoginRequired if is_anonymous and not rights else None)
        assert told == ([] if refused else [FILE if READ in rights else None])
    found: list[list[Details]] = []
    store.details([path, "/"]).addCallback(found.append)
    seen = [bool(details.properties) for details in found[0]]
    assert seen == [READ in rights, READ in naive(grants, "/")]


@given(GRANTS, PATHS, st.booleans())
def test_a_lock_that_is_not_there_is_released_by_those_who_may(grants: Rights, path: str, is_anonymous: bool) -> None:
    recorder = Recorder()
    locks = LimitedLocks(recorder, recorder, Principal("" if is_anonymous else "anna", Grants(grants)))
    rights = naive(grants, path)
    assert (outcome(locks.unlock(path, "t", ALWAYS)) is None) == bool(rights & {WRITE, ADMIN})


@given(GRANTS, PATHS, st.sets(st.sampled_from(["a", "ab", "b", "c", "d", "e", "f"])), st.integers(1, 4))
def test_pages_of_what_can_be_read_are_full(grants: Rights, path: str, names: set[str], limit: int) -> None:
    recorder = Recorder(sorted(names))
    store = LimitedStore(recorder, recorder, recorder, recorder, Principal("anna", Grants(grants)))
    if READ not in naive(grants, path):
        assert outcome(store.list_members(path, "", limit)) is NotFound
        return
    listed: list[str] = []
    while True:
        pages: list[list[Member]] = []
        store.list_members(path, listed[-1] if listed else "", limit).addCallback(pages.append)
        listed += [member.name for member in pages[0]]
        if len(pages[0]) < limit:
            break
    folder = path.rstrip("/")
    assert listed == [name for name in sorted(names) if READ in naive(grants, f"{folder}/{name}")]


@given(GRANTS, PATHS, st.integers(1, 4))
def test_uploads_are_listed_where_one_may_read(grants: Rights, prefix: str, limit: int) -> None:
    uploads = [ContinuedUpload(str(n), path, NO_MEDIA, 0, 0, 0, 0, 0) for n, path in enumerate(sorted(_BELOW))]

    class Uploads:
        def list_uploads(self, prefix: str, after: tuple[str, str], limit: int) -> Deferred[list[ContinuedUpload]]:
            found = [each for each in uploads if each.path.startswith(prefix) and (each.path, each.upload) > after]
            return succeed(found[:limit])

    prefix = prefix.rstrip("/") + "/"
    judge = Judge(Principal("anna", Grants(grants)))
    limited = LimitedContinuedUploads(Uploads(), judge, Publishing(Recorder(), judge))
    if READ not in naive(grants, prefix.rstrip("/") or "/"):
        assert outcome(limited.list_uploads(prefix, ("", ""), limit)) is NotFound
        return
    listed: list[str] = []
    after = "", ""
    while True:
        page: list[list[ContinuedUpload]] = []
        limited.list_uploads(prefix, after, limit).addCallback(page.append)
        listed += [each.path for each in page[0]]
        if len(page[0]) < limit:
            break
        after = page[0][-1].path, page[0][-1].upload
    assert listed == [each for each in sorted(_BELOW) if each.startswith(prefix) and READ in naive(grants, each)]


@given(GRANTS, PATHS)
def test_uploads_are_listed_to_be_aborted_where_one_may_write_everywhere(grants: Rights, place: str) -> None:
    recorder, judge = Recorder(), Judge(Principal("anna", Grants(grants)))
    limited = LimitedContinuedUploads(recorder, judge, Publishing(recorder, judge))
    place = place.rstrip("/")
    found = outcome(limited.list_uploads(f"{place}/", ("", ""), 9, to_abort=True))
    if has(grants, place or "/", WRITE, below=True):
        assert (found, recorder.calls) == (None, 1)
    else:
        assert found is (Forbidden if READ in naive(grants, place or "/") else NotFound)
        assert recorder.calls == 0


_BELOW = ["/a/x", "/a/b/x", "/b", "/b/x", "/a/b", "/c", "/a"]
