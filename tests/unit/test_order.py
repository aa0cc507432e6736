"""Members in the order of their names, though they are kept in that of their entry names."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from splitd.model.branch import SORTED, Branch
from splitd.model.order import page
from splitd.model.packing import Packed

FILE = Packed(b"file")
names = st.text("ab-.\0~é", min_size=1, max_size=4)
entry_names = st.builds("{}{}".format, names, st.sampled_from(["", "/"])) | st.just("/")


def branch_of(found: set[str]) -> Branch:
    branch = Branch(0)
    for name in found:
        branch.add(name, Branch(0) if name.endswith("/") else FILE)
    return branch


def by_name(entry: str) -> tuple[str, bool]:
    return entry.removesuffix("/"), entry.endswith("/")


def shown(entry: str, found: set[str]) -> str:
    plain = entry.removesuffix("/")
    return entry if plain in found or not plain else plain


@given(st.sets(entry_names, max_size=40), st.integers(1, 4))
@example({"a/", "a-", "a", "a-/", "a-b", "-", "/"}, 1)
def test_pages_follow_each_other_in_the_order_of_names(found: set[str], limit: int) -> None:
    branch = branch_of(found)
    listed: list[str] = []
    while some := page(branch, listed[-1] if listed else "", limit):
        assert len(some) <= limit
        assert all(isinstance(entry, Branch) == (branch.find(name) or "").endswith("/") for name, entry in some)
        listed += [name for name, _ in some]
        assert len(listed) <= len(found)
    assert listed == [shown(entry, found) for entry in sorted(found, key=by_name)]


@given(st.sets(entry_names, max_size=40), names)
def test_a_page_may_begin_after_any_name(found: set[str], after: str) -> None:
    listed = [name for name, _ in page(branch_of(found), after, 99)]
    # What is called `after` is the file, or the collection if there is no such file; both have been passed.
    behind = (after, after not in found)
    assert listed == [shown(entry, found) for entry in sorted(found, key=by_name) if by_name(entry) > behind]


@pytest.mark.parametrize("count", [SORTED - 1, SORTED, SORTED + 1, 2 * SORTED])
def test_it_is_the_same_however_many_members_there_are(count: int) -> None:
    found = {f"{number:04}{'/' if number % 3 else ''}" for number in range(count)}
    found |= {f"{number:04}-" for number in range(count)}
    branch = branch_of(found)
    assert [name for name, _ in page(branch, "", 9999)] == sorted(each.removesuffix("/") for each in found)
    for entry in sorted(found)[: len(found) * 3 // 4]:
        branch.remove(entry, 1)
        found.remove(entry)
    assert [name for name, _ in page(branch, "", 9999)] == sorted(each.removesuffix("/") for each in found)
