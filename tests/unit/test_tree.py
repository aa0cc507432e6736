from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.catalog.effects import exhaust
from splitd.errors import (
    BadName,
    Entangled,
    NameTaken,
    NotACollection,
    NotAFile,
    NotFound,
    ParentMissing,
    SplitdError,
    TooManyNames,
)
from splitd.model.manifest import Manifest
from splitd.model.packing import Packed, Packing
from splitd.model.tree import MAX_PATH, Collection, Member, Tree, ancestors, basename, check_path, parent


def manifest(number: int = 1) -> Manifest:
    return Manifest(f"{number:032x}", number, number, 6, 0, 4, tuple("abcdef"))


class PlainTree:
    """The oracle: one dict of all paths, which is searched completely for every question."""

    def __init__(self, created_ms: int) -> None:
        self.entries: dict[str, Any] = {"/": [created_ms, created_ms]}
        self.noted: dict[str, dict[str, str]] = {}

    def lookup(self, path: str) -> Manifest | Collection | None:
        entry = self.entries.get(path)
        return Collection(*entry) if isinstance(entry, list) else entry

    def names(self, path: str) -> list[str]:
        inside = [other for other in self.entries if other != "/" and parent(other) == path]
        return sorted(basename(other) for other in inside)

    def _touch(self, path: str, time_ms: int) -> None:
        self.entries[parent(path)][1] = time_ms

    def _need_parent(self, path: str) -> None:
        if not isinstance(self.entries.get(parent(path)), list):
            raise ParentMissing(path)

    def put_file(self, path: str, file: Manifest, time_ms: int) -> Manifest | None:
        if isinstance(self.entries.get(path), list):
            raise NotAFile(path)
        self._need_parent(path)
        replaced = self.entries.get(path)
        self.entries[path] = file
        self._touch(path, time_ms)
        return replaced

    def make_collection(self, path: str, time_ms: int) -> None:
        if path in self.entries:
            raise NameTaken(path)
        self._need_parent(path)
        self.entries[path] = [time_ms, time_ms]
        self._touch(path, time_ms)

    def delete(self, path: str, time_ms: int) -> list[Manifest]:
        if path == "/":
            raise BadName(path)
        if path not in self.entries:
            raise NotFound(path)
        gone = [other for other in self.entries if other == path or other.startswith(path + "/")]
        files = [self.entries.pop(other) for other in gone]
        for other in gone:
            self.noted.pop(other, None)
        self._touch(path, time_ms)
        return [file for file in files if isinstance(file, Manifest)]

    def set_properties(self, path: str, properties: dict[str, str]) -> None:
        if path not in self.entries:
            raise NotFound(path)
        self.noted[path] = properties

    def move(self, source: str, target: str, time_ms: int) -> list[Manifest]:
        self._refuse(source, target, source == target or source in ancestors(target) or target in ancestors(source))
        replaced = self.delete(target, time_ms) if target in self.entries else []
        for path in [each for each in self.entries if each == source or each.startswith(source + "/")]:
            self.entries[target + path.removeprefix(source)] = self.entries.pop(path)
            if path in self.noted:
                self.noted[target + path.removeprefix(source)] = self.noted.pop(path)
        self._touch(source, time_ms)
        self._touch(target, time_ms)
        return replaced

    def copy(self, source: str, target: str, time_ms: int, *, deep: bool) -> tuple[list[Manifest], list[Manifest]]:
        inside = target in ancestors(source) or (deep and source in ancestors(target))
        self._refuse(source, target, source == target or inside)
        replaced = self.delete(target, time_ms) if target in self.entries else []
        copied = []
        for path in list(self.entries):
            if path == source or (deep and path.startswith(source + "/")):
                entry = self.entries[path]
                name = target + path.removeprefix(source)
                self.entries[name] = [time_ms, time_ms] if isinstance(entry, list) else entry
                copied += [entry] if isinstance(entry, Manifest) else []
                if path in self.noted:
                    self.noted[name] = dict(self.noted[path])
        self._touch(target, time_ms)
        return replaced, copied

    def _refuse(self, source: str, target: str, entangled: bool) -> None:
        if source not in self.entries:
            raise NotFound(source)
        if entangled:
            raise Entangled(source)
        self._need_parent(target)


paths = st.lists(st.sampled_from(["a", "b", "B", "é", "\uffff", "\U0001f600"]), max_size=3).map(
    lambda names: "/" + "/".join(names)
)
steps = st.tuples(
    st.sampled_from(["put_file", "make_collection", "delete", "move", "copy", "copy flat", "set_properties", "list"]),
    paths,
    paths,
)


class Whole(Tree):
    """A tree whose long work is done at once."""

    def __init__(self, created_ms: int) -> None:
        self.packing = Packing()
        super().__init__(created_ms, self.packing)

    def put_file(self, path: str, file: Manifest, time_ms: int) -> Manifest | None:
        replaced = self.put(path, self.packing.pack(file), time_ms)
        return None if replaced is None else self.gone(replaced)[0]

    def list_members(self, path: str, after: str, limit: int) -> list[Member]:
        return [Member(name, self._shown(entry)) for name, entry in self.page(path, after, limit)]

    def unpacked(self, files: Iterable[Packed | None]) -> list[Manifest]:
        return [self.packing.unpack(file) for file in files if file is not None]

    def gone(self, entry: Any) -> list[Manifest]:
        return [] if entry is None else self.unpacked(self.dismantle(entry))

    def delete_all(self, path: str, time_ms: int) -> list[Manifest]:
        return self.gone(self.delete(path, time_ms))

    def move_all(self, source: str, target: str, time_ms: int) -> list[Manifest]:
        return self.gone(self.move(source, target, time_ms))

    def copy(self, source: str, target: str, time_ms: int, *, deep: bool) -> tuple[list[Manifest], list[Manifest]]:
        self.refuse_copy(source, target, deep=deep)
        copying = self.begin_copy(source, time_ms, deep=deep)
        copied = self.unpacked(copying.steps())
        assert (copying.files, copying.size) == (len(copied), sum(file.size for file in copied))
        return self.gone(self.put_copy(source, target, copying, time_ms)), copied


def perform(tree: Any, step: str, path: str, other: str, time_ms: int) -> Any:
    match step:
        case "list":
            return outcome(tree.list_members, path, "", 2) if isinstance(tree, Tree) else None
        case "put_file":
            return outcome(tree.put_file, path, manifest(time_ms), time_ms)
        case "move":
            return outcome(tree.move_all if isinstance(tree, Whole) else tree.move, path, other, time_ms)
        case "delete":
            return outcome(tree.delete_all if isinstance(tree, Whole) else tree.delete, path, time_ms)
        case "copy" | "copy flat":
            return outcome(tree.copy, path, other, time_ms, deep=step == "copy")
        case "set_properties":
            return outcome(tree.set_properties, path, {} if time_ms % 5 == 0 else {"x": f"<x>{time_ms}</x>"})
        case _:
            return outcome(getattr(tree, step), path, time_ms)


def outcome(call: Any, *args: Any, **more: Any) -> Any:
    try:
        result = call(*args, **more)
    except SplitdError as problem:
        return type(problem)
    if isinstance(result, tuple):
        return [sorted(each, key=repr) for each in result]
    return sorted(result, key=repr) if isinstance(result, list) else result


def assert_same(tree: Tree, oracle: PlainTree) -> None:
    noted = {path: properties for path, properties in oracle.noted.items() if properties}
    assert {path: dict(properties) for path, properties in tree.all_properties()} == noted
    for path in oracle.entries:
        assert tree.lookup(path) == oracle.lookup(path)
        assert tree.properties(path) == noted.get(path, {})
        if isinstance(oracle.lookup(path), Collection):
            found = tree.list_members(path, "", 100)
            assert found == [
                Member(name, oracle.lookup((path + "/" + name).replace("//", "/")))  # type: ignore[arg-type]
                for name in oracle.names(path)
            ]


@given(st.lists(steps, max_size=30))
def test_it_does_what_a_plain_dict_of_all_paths_does(found: list[tuple[str, str, str]]) -> None:
    tree, oracle = Whole(0), PlainTree(0)
    for time_ms, (step, path, other) in enumerate(found, 1):
        if step == "list":
            perform(tree, step, path, other, time_ms)
        elif (step, path) == ("move", "/"):  # nothing is outside of the root
            assert perform(tree, step, path, other, time_ms) in (Entangled, NotFound)
        else:
            assert perform(tree, step, path, other, time_ms) == perform(oracle, step, path, other, time_ms)
    assert_same(tree, oracle)
    assert len(tree) == len(list(tree.walk()))


@given(st.lists(steps, max_size=20), paths)
def test_it_tells_beforehand_what_a_change_would_do(found: list[tuple[str, str, str]], path: str) -> None:
    tree = Whole(0)
    for time_ms, (step, each, other) in enumerate(found, 1):
        perform(tree, step, each, other, time_ms)
    taken = outcome(tree.refuse_taken, path)
    replaced = outcome(tree.version, path)
    assert outcome(tree.put_file, path, manifest(99), 99) == replaced
    if replaced in (NotAFile, ParentMissing):
        assert outcome(tree.make_collection, path, 99) == taken
    else:
        assert taken == (None if replaced is None else NameTaken)


@given(st.sets(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1)))
def test_pages_follow_each_other_in_the_order_of_code_points(names: set[str]) -> None:
    tree = Whole(0)
    for name in names:
        tree.put_file(f"/{name}", manifest(), 1)
    found: list[str] = []
    while page := tree.list_members("/", found[-1] if found else "", 3):
        assert len(page) <= 3
        found += [member.name for member in page]
        assert len(found) <= len(names)
    assert found == sorted(names, key=lambda name: [ord(character) for character in name])


def test_a_page_may_begin_after_a_name_that_is_gone() -> None:
    tree = Whole(0)
    for name in "abcd":
        tree.put_file(f"/{name}", manifest(), 1)
    tree.list_members("/", "", 2)
    tree.delete("/b", 2)
    assert [member.name for member in tree.list_members("/", "b", 2)] == ["c", "d"]


def test_what_is_not_a_path_is_nowhere() -> None:
    tree = Whole(0)
    tree.make_collection("/a", 1)
    assert [tree.lookup(path) for path in ("", "a", "//", "/a//", "x/a")] == [None] * 5


def test_only_collections_have_members() -> None:
    tree = Whole(0)
    tree.put_file("/a", manifest(), 1)
    with pytest.raises(NotACollection, match="/a is a file"):
        tree.list_members("/a", "", 1)
    with pytest.raises(NotFound, match="there is no /b"):
        tree.list_members("/b", "", 1)


def test_the_deepest_tree_there_can_be_is_deleted_in_one_step() -> None:
    tree = Whole(0)
    path = ""
    for depth in range(2047):
        path += "/a"
        tree.make_collection(path, depth)
    check_path(path + "/f")
    tree.put_file(path + "/f", manifest(), 1)
    assert tree.delete_all("/a", 1) == [manifest()]
    assert tree.list_members("/", "", 1) == []


def test_a_copy_is_another_name_for_the_same_version() -> None:
    tree = Whole(0)
    tree.make_collection("/a", 1)
    tree.put_file("/a/f", manifest(), 1)
    tree.copy("/a", "/b", 2, deep=True)
    assert tree.lookup("/b/f") == tree.lookup("/a/f")
    assert tree.page("/b", "", 1)[0][1] is tree.page("/a", "", 1)[0][1]
    tree.put_file("/b/f", manifest(2), 3)
    assert tree.lookup("/a/f") == manifest(1)


@pytest.mark.parametrize("call", ["move", "copy"])
def test_the_deepest_tree_there_can_be_is_moved_and_copied_in_one_step(call: str) -> None:
    tree = Whole(0)
    path = ""
    for depth in range(2047):
        path += "/a"
        tree.make_collection(path, depth)
    if call == "move":
        tree.move("/a", "/b", 1)
    else:
        tree.copy("/a", "/b", 1, deep=True)
    assert isinstance(tree.lookup(path.replace("/a", "/b", 1)), Collection)


def test_copies_of_copies_come_to_an_end() -> None:
    tree = Whole(0)
    tree.make_collection("/a", 0)
    for number in range(20):
        tree.put_file(f"/a/{number}", manifest(number), 0)
    exhaust(tree.refuse_too_many("/a", 20, 50))
    tree.copy("/a", "/b", 0, deep=True)
    with pytest.raises(TooManyNames, match="there are 42 names; trees are copied up to 50 in all"):
        exhaust(tree.refuse_too_many("/a", 20, 50))
    tree.delete_all("/b", 0)
    tree.put_file("/a/more", manifest(), 0)
    with pytest.raises(TooManyNames, match="/a has more than 20 names in it"):
        exhaust(tree.refuse_too_many("/a", 20, 50))
    exhaust(tree.refuse_too_many("/a/more", 20, 50))


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b" * 200, "\u00e9" * 100, "c" * 255]), min_size=1, max_size=20), max_size=5
    )
)
def test_a_tree_goes_as_deep_as_its_longest_path(found: list[list[str]]) -> None:
    tree = Whole(0)
    tree.make_collection("/t", 0)
    for names in found:
        path = "/t"
        for name in names:
            path += f"/{name}"
            if tree.lookup(path) is None:
                tree.make_collection(path, 0)
    longest = max(len(path.encode()) - 2 for path, _ in tree.walk())
    room = MAX_PATH - longest
    if room > 3:
        exhaust(tree.refuse_too_long("/t", "/" + "n" * (room - 1)))
    if longest:
        with pytest.raises(BadName, match="a path of more than 4096 bytes"):
            exhaust(tree.refuse_too_long("/t", "/" + "n" * max(room, 3)))


def test_long_paths_that_were_looked_up_take_no_memory() -> None:
    tree = Tree(1, Packing())
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(100):
            assert tree.find(f"/{number}" + "/ab" * 1300) is None  # its names alone would take 80 KiB
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1_000_000
