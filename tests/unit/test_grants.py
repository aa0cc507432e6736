"""What a user may do at a path, against a naive oracle."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from splitd.access.grants import ADMIN, READ, WRITE, Grants, Principal

NAMES = st.sampled_from(["a", "b", "ab", "c"])
PATHS = st.lists(NAMES, max_size=4).map(lambda names: "/" + "/".join(names))
RIGHTS = st.frozensets(st.sampled_from([READ, WRITE, ADMIN]))
GRANTS = st.lists(st.tuples(PATHS, RIGHTS), max_size=6)


def leads_to(grant: str, path: str) -> bool:
    return grant in {"/", path} or path[: len(grant) + 1] == grant + "/"


def naive(grants: list[tuple[str, frozenset[str]]], path: str) -> frozenset[str]:
    leading = [(each, rights) for each, rights in grants if leads_to(each, path)]
    if not leading:
        return frozenset()
    longest = max(len(each) for each, _ in leading)
    there = [rights for each, rights in leading if len(each) == longest]
    return frozenset() if frozenset() in there else frozenset().union(*there)


@given(GRANTS, PATHS)
def test_the_longest_path_decides(grants: list[tuple[str, frozenset[str]]], path: str) -> None:
    assert Grants(grants).rights(path) == naive(grants, path)


@given(GRANTS, GRANTS, PATHS)
def test_what_everybody_may_do_is_added(
    grants: list[tuple[str, frozenset[str]]], others: list[tuple[str, frozenset[str]]], path: str
) -> None:
    assert Grants(grants).joined(Grants(others)).rights(path) == naive(grants, path) | naive(others, path)


@given(GRANTS, PATHS, st.sampled_from([READ, WRITE]))
def test_a_right_everywhere_is_one_at_each_place_below(
    grants: list[tuple[str, frozenset[str]]], path: str, right: str
) -> None:
    below = [each for each, _ in grants if leads_to(path, each)]
    # The rights change at the paths of grants only, so one more place below each of them shows all there are.
    places = [path, f"{path.rstrip('/')}/z", *below, *(f"{each.rstrip('/')}/z" for each in below)]
    assert Grants(grants).everywhere(path, right) == all(right in naive(grants, each) for each in places)


@given(GRANTS, PATHS)
def test_a_place_hides_something_only_if_a_grant_below_it_does(
    grants: list[tuple[str, frozenset[str]]], path: str
) -> None:
    hidden = any(leads_to(path, each) and each != path and READ not in naive(grants, each) for each, _ in grants)
    if READ in naive(grants, path):
        assert Grants(grants).hides_below(path) == hidden


@given(GRANTS, PATHS)
def test_a_place_allows_something_below_it_if_a_grant_there_does(
    grants: list[tuple[str, frozenset[str]]], path: str
) -> None:
    below = [each for each, _ in grants if leads_to(path, each) and each != path]
    assert Grants(grants).allows_below(path) == any(naive(grants, each) for each in below)


@given(GRANTS, PATHS, RIGHTS, PATHS)
def test_narrowed_rights_are_those_below_a_path_and_among_some(
    grants: list[tuple[str, frozenset[str]]], narrow: str, rights: frozenset[str], path: str
) -> None:
    all_of = Grants(grants)
    narrowed = all_of.narrowed(narrow, rights)
    is_inside = narrow in {"/", path} or path.startswith(narrow + "/")
    assert narrowed.rights(path) == (all_of.rights(path) & rights if is_inside else frozenset())
    assert narrowed.everywhere(path, READ) == (READ in rights and is_inside and all_of.everywhere(path, READ))


def test_an_operator_has_admin_on_the_root() -> None:
    assert Principal("a", Grants([("/", {ADMIN})])).is_operator
    assert not Principal("a", Grants([("/x", {ADMIN})])).is_operator
    assert not Principal("a", Grants([("/", {READ, WRITE})])).is_operator
