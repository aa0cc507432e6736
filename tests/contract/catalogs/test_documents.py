"""Small documents: they are put under conditions, found until they expire, and listed by kind and owner."""

from __future__ import annotations

import attrs
import pytest
import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st

from splitd.errors import CatalogReadOnly, DocumentChanged, TooManyDocuments
from splitd.model.documents import MAX_BODY, MAX_KEY, Document, Documents
from tests.contract.catalogs.front import Front

LINK = Document("link", "k", "anna", '{"path":"/a"}')


async def keys(front: Front, kind: str = "link", owner: str | None = None, limit: int = 2) -> list[str]:
    """The keys of all documents of a kind, page by page."""
    found: list[str] = []
    while True:
        page = await front.documents.page(kind, owner, found[-1] if found else "", limit)
        found += [each.key for each in page]
        if len(page) < limit:
            return found


@pytest_twisted.ensureDeferred
async def test_a_document_survives_a_restart(front: Front) -> None:
    kept = await front.documents.put(LINK)
    assert attrs.evolve(kept, revision=0) == LINK
    assert kept.revision > 0
    assert (await front.statistics()).documents == 1
    again = await front.reopen()
    assert await again.documents.find("link", "k") == kept
    assert await again.documents.find("login", "k") is None
    assert await again.documents.find("link", "K") is None
    assert (await again.statistics()).documents == 1


@pytest_twisted.ensureDeferred
async def test_a_document_is_replaced_under_a_condition(front: Front) -> None:
    first = await front.documents.put(LINK, expected=0)
    with pytest.raises(DocumentChanged, match="link k has changed"):
        await front.documents.put(LINK, expected=0)
    second = await front.documents.put(attrs.evolve(LINK, body="2"), expected=first.revision)
    assert second.revision > first.revision
    with pytest.raises(DocumentChanged):
        await front.documents.put(attrs.evolve(LINK, body="3"), expected=first.revision)
    with pytest.raises(DocumentChanged):
        await front.documents.delete("link", "k", first.revision)
    assert await front.documents.find("link", "k") == second
    assert await front.documents.delete("link", "k", second.revision)
    assert not await front.documents.delete("link", "k")
    third = await (await front.reopen()).documents.put(LINK, expected=0)
    assert third.revision > second.revision  # nobody can take it for the one that was deleted


@pytest_twisted.ensureDeferred
async def test_of_changes_at_the_same_time_one_holds(front: Front) -> None:
    first = await front.documents.put(LINK)
    front.place.hold()
    both = [front.documents.put(attrs.evolve(LINK, body=body), expected=first.revision) for body in "ab"]
    front.place.release()
    assert (await both[0]).body == "a"
    with pytest.raises(DocumentChanged):
        await both[1]
    found = await front.documents.find("link", "k")
    assert found is not None
    assert found.body == "a"


@pytest_twisted.ensureDeferred
async def test_a_document_is_shown_when_it_is_durable(front: Front) -> None:
    front.place.hold()
    waiting = front.documents.put(LINK)
    await front.place.held()
    assert await front.documents.find("link", "k") is None
    front.place.release()
    assert await waiting == await front.documents.find("link", "k")


@pytest_twisted.ensureDeferred
async def test_a_document_ends_when_it_expires(front: Front) -> None:
    await front.documents.put(attrs.evolve(LINK, expires_ms=3000))
    await front.documents.put(attrs.evolve(LINK, key="other"))
    front.clock.advance(1.999)
    assert await keys(front) == ["k", "other"]
    front.clock.advance(0.001)
    assert await front.documents.find("link", "k") is None
    assert await keys(front) == ["other"]
    again = await front.reopen()
    assert await keys(again) == ["other"]
    assert not await again.documents.delete("link", "k")
    await again.documents.put(attrs.evolve(LINK, kind="login"))
    assert (await again.statistics()).documents == 2  # what has expired takes no room any more
    await again.documents.put(LINK, expected=0)


@pytest_twisted.ensureDeferred
async def test_documents_are_listed_by_kind_and_owner(front: Front) -> None:
    for kind, key, owner in (("link", "b", "anna"), ("link", "c", "bob"), ("link", "a", "anna"), ("login", "d", "anna"),
                             ("link", "e", ""), ("link", "f", "anna")):  # fmt: skip
        await front.documents.put(Document(kind, key, owner, ""))
    for each in (front, await front.reopen()):
        assert await keys(each) == ["a", "b", "c", "e", "f"]
        assert await keys(each, owner="anna") == ["a", "b", "f"]
        assert await keys(each, owner="") == ["e"]
        assert await keys(each, "login") == ["d"]
        assert await keys(each, "lo") == []
        assert await keys(each, owner="nobody") == []


@pytest_twisted.ensureDeferred
async def test_a_document_may_get_another_owner(front: Front) -> None:
    await front.documents.put(LINK)
    await front.documents.put(attrs.evolve(LINK, owner="bob"))
    assert await keys(front, owner="anna") == []
    assert await keys(front, owner="bob") == ["k"]


@pytest_twisted.ensureDeferred
async def test_an_owner_has_no_more_than_the_most(front: Front) -> None:
    for key in "ab":
        await front.documents.put(attrs.evolve(LINK, key=key, expires_ms=2000), most=2)
    with pytest.raises(TooManyDocuments, match="anna has 2"):
        await front.documents.put(LINK, most=2)
    await front.documents.put(attrs.evolve(LINK, key="a", body="new", expires_ms=2000), most=2)  # it is one of the two
    await front.documents.put(attrs.evolve(LINK, owner="bob"), most=2)
    front.clock.advance(1.0)
    front.place.hold()
    three = [front.documents.put(attrs.evolve(LINK, key=key), most=2) for key in "cde"]
    front.place.release()
    await three[0]
    await three[1]
    with pytest.raises(TooManyDocuments):
        await three[2]


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_kept_is_refused(front: Front) -> None:
    for wrong in (
        attrs.evolve(LINK, kind="Link"),
        attrs.evolve(LINK, kind=""),
        attrs.evolve(LINK, kind="a" * 33),
        attrs.evolve(LINK, key=""),
        attrs.evolve(LINK, key="k" * (MAX_KEY + 1)),
        attrs.evolve(LINK, owner="o" * (MAX_KEY + 1)),
        attrs.evolve(LINK, body="ä" * (MAX_BODY // 2) + "x"),
        attrs.evolve(LINK, body="\ud800"),
        attrs.evolve(LINK, key="\ud800"),
        attrs.evolve(LINK, expires_ms=-1),
    ):
        with pytest.raises(ValueError, match=r"not a kind|characters|surrogate|bytes|negative"):
            await front.documents.put(wrong)
    largest = Document("a" * 32, "k" * MAX_KEY, "o" * MAX_KEY, "ä" * (MAX_BODY // 2))
    kept = await front.documents.put(largest)
    assert await (await front.reopen()).documents.find("a" * 32, "k" * MAX_KEY) == kept


@pytest_twisted.ensureDeferred
async def test_nothing_changes_when_the_catalog_cannot_be_written(front: Front) -> None:
    kept = await front.documents.put(LINK)
    front.place.fail()
    with pytest.raises(CatalogReadOnly):
        await front.documents.put(attrs.evolve(LINK, body="new"))
    with pytest.raises(CatalogReadOnly):
        await front.documents.delete("link", "k")
    assert await front.documents.find("link", "k") == kept


_names = st.sampled_from("abc")
_puts = st.tuples(st.just("put"), _names, _names, _names, st.sampled_from([0, 3, 5, 9]))
_removes = st.tuples(st.just("remove"), _names, _names)
_waits = st.tuples(st.just("wait"), st.integers(1, 4))


@settings(deadline=None)
@given(st.lists(_puts | _removes | _waits, max_size=40))
def test_documents_are_those_of_a_plain_dictionary(steps: list[tuple[object, ...]]) -> None:
    documents, model, now_ms = Documents(), dict[tuple[str, str], Document](), 1
    for number, step in enumerate(steps):
        match step:
            case "put", str(kind), str(key), str(owner), int(lasts):
                made = Document(kind, key, owner, str(number), now_ms + lasts if lasts else 0, number)
                documents.put(made, now_ms)
                model[kind, key] = made
            case "remove", str(kind), str(key):
                documents.remove(kind, key)
                model.pop((kind, key), None)
            case "wait", int(ms):
                now_ms += ms
        model = {place: each for place, each in model.items() if not each.has_expired(now_ms)}
        for kind in "abc":
            expected = [each for place, each in sorted(model.items()) if place[0] == kind]
            assert documents.page(kind, None, "", 99, now_ms) == expected
            assert documents.page(kind, None, "a", 1, now_ms) == [each for each in expected if each.key > "a"][:1]
            for owner in "abc":
                owned = [each for each in expected if each.owner == owner]
                assert documents.page(kind, owner, "", 99, now_ms) == owned
            for key in "abc":
                assert documents.find(kind, key, now_ms) == model.get((kind, key))


@pytest_twisted.ensureDeferred
async def test_a_stamp_changes_with_its_document(front: Front) -> None:
    def stamp(key: str) -> object:
        return front.documents.stamp("link", key)

    if stamp("k") is None:  # it is not known without asking
        return
    absent, other = stamp("k"), stamp("other")
    await front.documents.put(LINK)
    first = stamp("k")
    assert stamp("k") == first != absent
    await front.documents.put(attrs.evolve(LINK, body="2"))
    second = stamp("k")
    assert second not in {first, absent}
    await front.documents.delete("link", "k")
    assert stamp("k") not in {first, second}
    assert stamp("other") == other
