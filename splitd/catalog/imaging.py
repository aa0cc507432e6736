"""The frames of a snapshot's image: a state taken apart into lists that are decoded and put together by few calls.

The names and versions are nearly all of a state, so they have frames of their own; the rest is records, as in the
snapshot.  docs/journal-format.md describes the frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from typing import TypeAlias, TypeVar, cast

import attrs
import msgspec
from zope.interface import implementer

from splitd.catalog.effects import apply
from splitd.catalog.snapshot_records import other_records_of
from splitd.catalog.state import State
from splitd.interfaces.restoring import IRestorer
from splitd.model.branch import Branch
from splitd.model.media import Media
from splitd.model.packing import KEY, Packed, Shape, key_of
from splitd.model.records import Record
from splitd.model.sharded import ShardedDict
from splitd.model.tree import Tree

_AT_ONCE = 4096
_RECORDS_AT_ONCE = 256  # some are large, and each takes longer
_OWN = -1
_COLLECTION = -2

_Value = TypeVar("_Value")


class _Frame(msgspec.Struct, array_like=True, frozen=True, gc=False):
    pass


class _Opened(_Frame, frozen=True, tag="opened"):
    """The first frame: the cluster's id, and the times of the root."""

    cluster: str
    created_ms: int
    modified_ms: int


class _Versions(_Frame, frozen=True, tag="versions"):
    """Packed manifests of versions with parts, in the order of their uploads.  They are numbered from 0."""

    packed: list[bytes]


class _Tables(_Frame, frozen=True, tag="tables"):
    """What is needed to unpack the manifests: nodes, and shapes as (data, parity, unit, said, parts, wide, kind)."""

    nodes: list[str]
    shapes: list[tuple[int, int, int, str | Media | None, int, bool, int]]


class _Members(_Frame, frozen=True):
    """Members of one collection.

    :param collection: its number: 0 for the root, and one more for each collection in `collections` of all frames.
    :param names: the names of its members; if the collection is large, in the order of their entry names.
    :param files: the number of each member's version, `_OWN`, or `_COLLECTION`.
    :param own: the packed manifest of each member that is `_OWN`: a file without parts of its own.
    :param collections: `created_ms` and `modified_ms` of each member that is `_COLLECTION`.
    :param implied: the places in `collections` of those that are implied.
    :param themselves: (place in `collections`, packed manifest) of each collection that is a file itself.
    """

    collection: int
    names: list[str]
    files: list[int]
    own: list[bytes]
    collections: list[tuple[int, int]]
    implied: list[int] = []
    themselves: list[tuple[int, bytes]] = []


class _Names(_Frame, frozen=True, tag="names"):
    """Members of collections.  All members of a collection follow each other, also from one frame to the next."""

    members: list[_Members]


class _SharedOwn(_Frame, frozen=True, tag="shared-own"):
    """Keys (see `packing.key_of`) of files with segments that have several names, and how many each has.

    It comes before the names, so that these can share one packed manifest, which may be large.
    """

    keys: list[bytes]
    names: list[int]


class _Shared(_Frame, frozen=True, tag="shared"):
    """The numbers of versions with several names, and how many each has."""

    versions: list[int]
    names: list[int]


class _Hurt(_Frame, frozen=True, tag="hurt"):
    """The numbers of versions with missing parts."""

    versions: list[int]


class _Sums(_Frame, frozen=True, tag="sums"):
    """What a replay counts; it comes after all names."""

    names: int
    files: int
    size: int
    widest: int
    parts_on: dict[str, int]


class _Records(_Frame, frozen=True, tag="records"):
    """Records that result in all the rest; they come last."""

    records: list[Record]


_encode = msgspec.msgpack.Encoder().encode
_AnyFrame: TypeAlias = _Opened | _Versions | _Tables | _Names | _Shared | _SharedOwn | _Hurt | _Sums | _Records
_decoder = msgspec.msgpack.Decoder(_AnyFrame)


def frames(state: State) -> Iterator[bytes]:
    """Iterate over the frames of an image.

    They stand for the state that the snapshot of `state` results in: its manifests name the nodes of their parts now.
    The state must not be changed until the iteration has ended.
    """
    root = state.tree.root
    yield _encode(_Opened(state.cluster, root.created_ms, root.modified_ms))
    moved = {key_of(upload) for upload, _ in state.moves.moved()}
    packing, widest = state.packing, 0

    def placed(packed: Packed) -> Packed:
        return packing.pack(state.shown(packed)) if packed[:KEY] in moved else packed

    for some in _pages(state.versions.after("")):
        if moved:
            some = [*map(placed, some)]  # noqa: PLW2901
        widest = max(widest, *map(packing.parts_of, some))
        yield _encode(_Versions(some))  # type: ignore[arg-type]  # list is invariant
    yield _encode(_Tables(packing.nodes, [attrs.astuple(each, recurse=False) for each in packing.shapes]))
    version = state.versions.numbering()
    segmented = [key for key in state.names if state.versions.find_key(key) is None]
    for keys in _pages(segmented):
        yield _encode(_SharedOwn(keys, [state.names[key] for key in keys]))
    for some_members in _gathered(_members(state, version, placed)):
        yield _encode(_Names(some_members))
    without = set(segmented)
    for some_names in _pages((key, names) for key, names in state.names.items() if key not in without):
        yield _encode(_Shared([version(key)[0] for key, _ in some_names], [names for _, names in some_names]))
    hurt = filter(None, map(state.versions.find, state.hurt))
    for some in _pages(hurt):
        yield _encode(_Hurt([version(packed[:KEY])[0] for packed in some]))
    parts_on = {node: count for node, count in state.parts_on.items() if count}
    yield _encode(_Sums(len(state.tree), state.files, state.bytes_stored, widest, parts_on))
    for some_records in _pages(other_records_of(state), _RECORDS_AT_ONCE):
        yield _encode(_Records(some_records))


def _pages(values: Iterable[_Value], size: int = _AT_ONCE) -> Iterator[list[_Value]]:
    left = iter(values)
    while page := list(islice(left, size)):
        yield page


def _members(
    state: State, version: Callable[[bytes], tuple[int, Packed]], placed: Callable[[Packed], Packed]
) -> Iterator[_Members]:
    """Iterate over the members of all collections, each collection after the one it lies in.

    :param version: returns the number and the packed manifest of a version.
    :param placed: returns a packed manifest that names the nodes of the parts now.
    """
    waiting = deque([state.tree.root])
    for collection in count():
        if not waiting:
            return
        branch = waiting.popleft()
        for names in _pages(_in_turn(branch)):
            found = _Members(collection, [name.removesuffix("/") for name in names], [], [], [])
            for entry in map(branch.members.__getitem__, names):
                if isinstance(entry, Branch):
                    found.files.append(_COLLECTION)
                    _add_collection(found, entry, placed)
                    waiting.append(entry)
                    continue
                number, packed = version(entry[:KEY]) if state.packing.parts_of(entry) else (_OWN, entry)
                if entry == packed and number != _OWN:
                    found.files.append(number)
                else:  # it has no parts, or is a copy that differs from the version in more than its name
                    found.files.append(_OWN)
                    found.own.append(placed(entry))
            yield found


def _in_turn(branch: Branch) -> Iterable[str]:
    """Return the entry names of members in the order in which a replay of the snapshot adds them, or, if they are many,
    in the order that is read fastest.
    """
    if isinstance(branch.members, ShardedDict) and branch.names is not None:
        names: Iterable[str] = branch.names
        return names
    return sorted(branch.members, key=lambda name: name.endswith("/"))


def _add_collection(found: _Members, branch: Branch, placed: Callable[[Packed], Packed]) -> None:
    if branch.implied:
        found.implied.append(len(found.collections))
    if branch.own is not None:
        found.themselves.append((len(found.collections), placed(branch.own)))
    found.collections.append((branch.created_ms, branch.modified_ms))


def _gathered(members: Iterable[_Members]) -> Iterator[list[_Members]]:
    """Gather members of small collections, so that a frame is worth its cost."""
    gathered: list[_Members] = []
    size = 0
    for each in members:
        gathered.append(each)
        size += 1 + len(each.names)
        if size >= _AT_ONCE:
            yield gathered
            gathered, size = [], 0
    if gathered:
        yield gathered


@implementer(IRestorer)
class Restorer:
    """Puts a state together from the frames of an image.

    :param state: an empty state, which is used only when `end` has returned.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._begin()

    def _begin(self) -> None:
        self._opened: _Opened | None = None
        self._complete = False
        self._versions: list[Packed] = []
        self._shared_own: set[bytes] = set()
        self._alike: dict[bytes, Packed] = {}
        self._collections: list[Branch] = []
        self._filling = 0  # the collection whose members are gathered
        self._names: list[str] = []

    def take(self, frame: bytes) -> None:
        """Take the next frame; see `IRestorer`."""
        try:
            self._take(_decoder.decode(frame))
        except (msgspec.MsgspecError, LookupError, ValueError) as problem:
            raise ValueError(f"its frames make no state: {problem}") from problem

    def _take(self, frame: _AnyFrame) -> None:
        state = self._state
        match frame:
            case _Opened():
                self._opened = frame
                self._collections.append(_branch(frame.created_ms, frame.modified_ms))
            case _Tables():
                state.packing.restore(frame.nodes, [Shape(*shape) for shape in frame.shapes])
            case _Versions() | _Shared() | _Hurt():
                self._take_versions(frame)
            case _SharedOwn():
                state.names.fill(frame.keys, frame.names)
                self._shared_own.update(frame.keys)
            case _Names():
                for members in frame.members:
                    self._fill(members)
            case _Sums():
                self._sum_up(frame)
            case _Records():
                for record in frame.records:
                    apply(state, record)

    def _take_versions(self, frame: _Versions | _Shared | _Hurt) -> None:
        state = self._state
        match frame:
            case _Versions():
                state.versions.extend(cast("list[Packed]", frame.packed))
                self._versions += cast("list[Packed]", frame.packed)
            case _Shared():
                state.names.fill([self._versions[version][:KEY] for version in frame.versions], frame.names)
            case _Hurt():
                for version in frame.versions:
                    state.hurt.weigh(state.packing.unpack(self._versions[version]))

    def _fill(self, members: _Members) -> None:
        if members.collection != self._filling:
            self._end_filling()
            self._filling = members.collection
        entries, names = self._entries(members), members.names
        if members.collections:
            names = [
                f"{name}/" if isinstance(entry, Branch) else name for name, entry in zip(names, entries, strict=True)
            ]
        self._names += names
        self._collections[self._filling].fill(names, entries)

    def _entries(self, members: _Members) -> list[Packed | Branch]:
        if not members.own and not members.collections:
            return [*map(self._versions.__getitem__, members.files)]
        entries: list[Packed | Branch] = []
        own, collections = iter(self._own(members)), iter(_branches(members))
        for file in members.files:
            if file == _COLLECTION:
                branch = next(collections)
                self._collections.append(branch)
                entries.append(branch)
            else:
                entries.append(next(own) if file == _OWN else self._versions[file])
        return entries

    def _own(self, members: _Members) -> list[Packed]:
        own = cast("list[Packed]", members.own)
        if not self._shared_own:
            return own
        return [self._alike.setdefault(each, each) if each[:KEY] in self._shared_own else each for each in own]

    def _end_filling(self) -> None:
        self._collections[self._filling].end_filling(self._names)
        self._names = []

    def _sum_up(self, sums: _Sums) -> None:
        if self._opened is None or not self._opened.cluster:
            raise ValueError("there is no cluster")
        self._end_filling()
        state, opened = self._state, self._opened
        state.cluster = opened.cluster
        state.tree = Tree(opened.created_ms, state.packing, self._collections[0], sums.names)
        state.files, state.bytes_stored, state.widest = sums.files, sums.size, sums.widest
        state.parts_on = dict(sums.parts_on)
        self._complete = True

    def end(self) -> None:
        """Take note that there are no more frames; see `IRestorer`."""
        complete = self._complete
        self._begin()
        if not complete:
            raise ValueError("its frames make no state: some are missing")

    def reset(self) -> None:
        """Drop what was taken; see `IRestorer`."""
        self._state.clear()
        self._begin()


def _branches(members: _Members) -> list[Branch]:
    branches = [_branch(*times) for times in members.collections]
    for place in members.implied:
        branches[place].implied = True
    for place, packed in cast("list[tuple[int, Packed]]", members.themselves):
        branches[place].own = packed
    return branches


def _branch(created_ms: int, modified_ms: int) -> Branch:
    branch = Branch(created_ms)
    branch.modified_ms = modified_ms
    return branch
