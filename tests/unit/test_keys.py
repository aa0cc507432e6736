"""Pages of keys, compared with those of a sorted dict."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import example, given
from hypothesis import strategies as st

from splitd.model.branch import LARGE, SORTED, Branch
from splitd.model.keys import Page, Walk, Wanted, after_all, list_page
from splitd.model.manifest import Manifest
from splitd.model.packing import Packing
from splitd.model.tree import Tree

PACKING = Packing()
FILE = PACKING.pack(Manifest("a" * 32, 1, 1, 6, 0, 4, tuple("abcdef")))
CHARACTERS = "ab/.-\0\x7f\ud7ff\ue000\U0010ffff"

texts = st.text(CHARACTERS, max_size=6)
keys = texts.filter(bool)
delimiters = st.sampled_from(["", "", "/", "a", "b/", "//", ".", "\U0010ffff"])


def tree_of(found: Iterable[str]) -> Tree:
    tree = Tree(0, PACKING)
    tree.make_collection("/x", 0)
    for key in found:
        tree.put(f"/x/{key}", FILE, 1, is_key=True)
    return tree


def page_of(tree: Tree, wanted: Wanted) -> tuple[list[str], list[str], str | None]:
    page = Page()

    def root() -> Branch:
        found = tree.find(wanted.collection)
        assert isinstance(found, Branch)
        return found

    for _ in list_page(wanted, root, page) if wanted.limit else ():
        pass
    return [key for key, _ in page.keys], page.prefixes, page.next


def naive(found: Iterable[str], wanted: Wanted) -> tuple[list[str], list[str], str | None]:
    """The same from all keys: each is turned into what it is listed as."""
    listed: dict[str, bool] = {}
    for key in found:
        if not key.startswith(wanted.prefix) or is_hidden(f"/x/{key}", wanted):
            continue
        before, delimiter, _ = key[len(wanted.prefix) :].partition(wanted.delimiter or "\ud800")
        common = wanted.prefix + before + delimiter
        listed[common if delimiter else key] = bool(delimiter)
    some = sorted((each for each in listed if each > wanted.after), key=lambda each: each.encode())
    page = some[: wanted.limit]
    return (
        [each for each in page if not listed[each]],
        [each for each in page if listed[each]],
        page[-1] if page and len(some) > len(page) else None,
    )


def is_hidden(path: str, wanted: Wanted) -> bool:
    return any(path in (each, f"{each}/") or path.startswith(f"{each}/") for each in wanted.hidden)


@given(st.sets(keys, max_size=30), texts, texts, delimiters, st.integers(0, 5), st.sets(keys, max_size=2))
@example({"a", "a/", "a/b", "a-", "a0"}, "", "", "/", 5, set())
@example({"\U0010ffff", "\U0010ffff\U0010ffff"}, "", "", "\U0010ffff", 5, set())
def test_a_page_is_that_of_a_sorted_dict(
    found: set[str], prefix: str, after: str, delimiter: str, limit: int, hidden: set[str]
) -> None:
    places = frozenset(f"/x/{each}".removesuffix("/") for each in hidden)
    wanted = Wanted("/x", prefix, after, delimiter, limit, places)
    assert page_of(tree_of(found), wanted) == naive(found, wanted)


@given(st.sets(keys, max_size=40), texts, delimiters, st.integers(1, 4))
def test_the_pages_together_list_everything_once(found: set[str], prefix: str, delimiter: str, limit: int) -> None:
    tree, listed, after = tree_of(found), list[str](), ""
    while True:
        some, prefixes, behind = page_of(tree, Wanted("/x", prefix, after, delimiter, limit))
        listed += sorted(some + prefixes)
        if behind is None:
            break
        assert behind == listed[-1]
        after = behind
    whole = naive(found, Wanted("/x", prefix, "", delimiter, len(found) + 1))
    assert listed == sorted([*whole[0], *whole[1]])


@given(st.sets(keys, max_size=30), st.data())
def test_keys_that_are_deleted_take_the_collections_along_that_they_implied(
    found: set[str], data: st.DataObject
) -> None:
    tree = tree_of(found)
    gone = data.draw(st.sets(st.sampled_from(sorted(found)))) if found else set()
    for key in gone:
        path = f"/x/{key}"
        if key.endswith("/"):
            for _ in tree.dismantle(tree.unkeep(path) or FILE):
                pass
        else:
            for _ in tree.dismantle(tree.delete(path, 2)):
                pass
        tree.prune(path, 2)
    left = found - gone
    assert page_of(tree, Wanted("/x", "", "", "", 99))[0] == sorted(left)
    assert len(tree) == len(list(tree.entries())) == len(list(tree_of(left).entries()))


@given(st.text(min_size=1), st.text())
def test_what_comes_after_all_that_begin_with_a_text(prefix: str, more: str) -> None:
    behind = after_all(prefix)
    if behind is None:
        assert set(prefix) == {"\U0010ffff"}
    else:
        assert prefix + more < behind
        assert behind[:-1] == prefix[: len(behind) - 1]
        assert ord(behind[-1]) == ord(prefix[len(behind) - 1]) + 1


def test_a_page_of_a_large_collection_reads_little_of_it() -> None:
    number = 3 * LARGE
    tree = tree_of([f"a{each:05}" for each in range(number)] + [f"b/{each:05}" for each in range(number)] + ["c"])
    folder = tree.find("/x/b/")
    assert isinstance(folder, Branch)
    assert page_of(tree, Wanted("/x", "", "a05990", "/", 20)) == (
        [f"a{each:05}" for each in range(5991, 6000)] + ["c"],
        ["b/"],
        None,
    )
    assert page_of(tree, Wanted("/x", "b/", "b/05998", "", 20)) == (["b/05999"], [], None)


def test_a_page_of_common_prefixes_looks_into_no_collection() -> None:
    tree = tree_of([f"{each:03}/a/b" for each in range(200)])
    root = tree.find("/x")
    assert isinstance(root, Branch)
    for below in root.members.values():
        assert isinstance(below, Branch)
        below.members = {}  # so that one that is looked into seems to be empty
    prefixes = [f"{each:03}/" for each in range(1, 200)]
    assert page_of(tree, Wanted("/x", "", "000/", "/", 150)) == ([], prefixes[:150], "150/")
    hidden = frozenset({"/x/007", "/x/00", "/x/1"})
    prefixes.remove("007/")
    assert page_of(tree, Wanted("/x", "", "000/", "/", 199, hidden)) == ([], prefixes, None)


def test_keys_are_found_around_the_size_at_which_names_are_kept_sorted() -> None:
    for number in (SORTED - 1, SORTED, SORTED + 1, LARGE, LARGE + 1):
        found = [f"{each:05}" for each in range(number)]
        tree = tree_of(reversed(found))
        root = tree.find("/x")
        assert isinstance(root, Branch)
        assert [key for key, _ in Walk(Wanted("/x", "", "", "", 1), root, "")] == found
        for key in found[: number // 2 + number // 4]:
            tree.delete(f"/x/{key}", 1)
        assert page_of(tree, Wanted("/x", "", "", "", number))[0] == found[number // 2 + number // 4 :]
