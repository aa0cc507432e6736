"""Computes what a power cut at any moment would have left of a disk.

A cut leaves everything that was synced.  Of the rest it leaves any subset, in any order.  Each sector of 512 bytes of a
file is kept or lost separately; lost ones read as zeros, and the file has its new size or a smaller one.  Each change
of a folder's names is kept or lost separately, except that a moved file is never lost from both places.  The writes of
a failed sync may be lost for good, though they can be read until the cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Any

import attrs

from tests.crash.operations import Event, FolderMade, Image, Inode, Named, Note, Synced, Truncated, Wrote, carry_out
from tests.tally import EFFORT

SECTOR = 512
_EXHAUSTIVE = 5
_SOME = 10 * EFFORT


@attrs.define
class _OnDisk:
    """A file as a cut would find it.

    :param data: the durable bytes.
    :param pending: the changes that are not durable, oldest first.
    :param uncertain: the changes that a failed sync should have made durable; no later sync does.
    """

    data: bytearray
    pending: list[Wrote | Truncated] = attrs.field(factory=list)
    uncertain: list[Wrote | Truncated] = attrs.field(factory=list)
    _durable: bytes | None = None

    def durable(self) -> bytes:
        """Return the durable bytes: the same object until they change, so that disks are compared quickly."""
        if self._durable is None:
            self._durable = bytes(self.data)
        return self._durable

    def sync(self, *, good: bool) -> None:
        """Make the pending changes durable, or uncertain if the sync failed."""
        if good:
            for change in self.pending:
                carry_out(self.data, change)
                self.uncertain = [left for each in self.uncertain for left in _left_of(each, change)]
            self._durable = None
        else:
            self.uncertain += self.pending
        self.pending = []


class Cuts:
    """Replays the operations on a disk, and computes at each moment what a cut could leave.

    :param first: the contents of the disk before.
    :param log: the operations.
    :ivar notes: the notes of tests up to the moment.
    """

    def __init__(self, first: Image, log: list[Event]) -> None:
        self._log = log
        self._names: dict[str, dict[str, Inode]] = {}
        self._pending_names: dict[str, list[Named]] = {}
        self._files: dict[Inode, _OnDisk] = {}
        self._settled: Image = {}  # the durable contents of folders that have not changed since they were asked for
        for folder, files in first.items():
            self._names[folder] = {}
            self._pending_names[folder] = []
            for name, data in files.items():
                inode = Inode(data)
                self._names[folder][name] = inode
                self._files[inode] = _OnDisk(bytearray(data))
        self.notes: list[Any] = []

    def moments(self) -> Iterator[int]:
        """Yield each moment: before the first operation, and after each operation."""
        yield 0
        for number, event in enumerate(self._log, 1):
            self._apply(event)
            yield number

    def _apply(self, event: Event) -> None:
        if isinstance(event, Note):
            self.notes.append(event.result)
        elif isinstance(event, FolderMade):
            self._names[event.folder] = {}
            self._pending_names[event.folder] = []
        elif isinstance(event, Wrote | Truncated):
            self._file(event.inode).pending.append(event)
        elif isinstance(event, Synced):
            self._file(event.inode).sync(good=event.good)
            for folder in [each for each in self._settled if event.inode in self._names[each].values()]:
                del self._settled[folder]
        elif isinstance(event, Named):
            self._pending_names[event.folder].append(event)
        else:
            self._sync_folder(event.folder)

    def _file(self, inode: Inode) -> _OnDisk:
        return self._files.setdefault(inode, _OnDisk(bytearray()))

    def _sync_folder(self, folder: str) -> None:
        pending, self._pending_names[folder] = self._pending_names[folder], []
        for change in pending:
            if change.needs is not None and change.needs in self._pending_names[change.needs.folder]:
                self._pending_names[change.needs.folder].remove(change.needs)
                self._name(change.needs)
            self._name(change)

    def _name(self, change: Named) -> None:
        """Make a change of a folder's names durable."""
        _name(self._names[change.folder], change)
        self._settled.pop(change.folder, None)

    def images(self, random: Random, most: int | None = None) -> Iterator[Image]:
        """Yield what a cut now could leave: all possibilities if they are few; otherwise none of the pending changes,
        all of them, and some subsets.

        :param most: of these, yield the first two and at most so many others, chosen at random; None for all.
        """
        names = [change for pending in self._pending_names.values() for change in pending]
        pieces = [
            piece
            for file in self._files.values()
            for change in (*file.uncertain, *file.pending)
            for piece in _cut(change)
        ]
        grown = [inode for inode, file in self._files.items() if file.uncertain or file.pending]
        atoms: list[Any] = [*names, *pieces, *grown]
        choices = _choices(len(atoms), random)
        if most is not None:
            every = list(choices)
            choices = iter([*every[:2], *random.sample(every, min(len(every), most))])
        open_folders = self._open_folders(grown)
        for chosen in choices:
            kept = {id(atom) for atom, keep in zip(atoms, chosen, strict=True) if keep}
            yield self._image(kept, pieces, open_folders)

    def durable(self) -> Image:
        """Return what a cut now leaves in any case."""
        grown = [inode for inode, file in self._files.items() if file.uncertain or file.pending]
        return self._image(set(), [], self._open_folders(grown))

    def _open_folders(self, grown: list[Inode]) -> list[str]:
        """Return the folders of which a cut now may leave one thing or another.

        :param grown: the files with changes that are not durable.
        """
        changed = set(grown)
        return [
            folder
            for folder, durable in self._names.items()
            if self._pending_names[folder] or not changed.isdisjoint(durable.values())
        ]

    def _image(self, kept: set[int], pieces: list[Wrote | Truncated], open_folders: list[str]) -> Image:
        """Return what a cut leaves that keeps these changes.  Folders that it cannot touch are shared by all images."""
        content: dict[Inode, bytes] = {}
        settled = self._settled_folders()
        image = {folder: settled[folder] for folder in self._names}  # always in one order, so that equal ones are found
        for folder in open_folders:
            files = dict(self._names[folder])
            for change in self._pending_names[folder]:
                if id(change) in kept and not self._is_held(change, kept):
                    _name(files, change)
            left = image[folder] = {}
            for name, inode in files.items():
                if inode not in content:
                    content[inode] = self._content(inode, kept, pieces)
                left[name] = content[inode]
        return image

    def _settled_folders(self) -> Image:
        """Return the durable contents of all folders."""
        for folder, files in self._names.items():
            if folder not in self._settled:
                self._settled[folder] = {name: self._file(inode).durable() for name, inode in files.items()}
        return self._settled

    def _is_held(self, change: Named, kept: set[int]) -> bool:
        """Return whether an old name must stay, because the file's new name is not there yet."""
        needs = change.needs
        return needs is not None and needs in self._pending_names[needs.folder] and id(needs) not in kept

    def _content(self, inode: Inode, kept: set[int], pieces: list[Wrote | Truncated]) -> bytes:
        file = self._file(inode)
        if not (file.pending or file.uncertain):
            return file.durable()
        data = bytearray(file.data)
        for piece in pieces:
            if piece.inode is inode and id(piece) in kept:
                carry_out(data, piece)
        if id(inode) in kept:
            size = len(file.data)
            for change in (*file.uncertain, *file.pending):
                size = change.size if isinstance(change, Truncated) else max(size, change.offset + len(change.data))
            data += bytes(max(0, size - len(data)))
        return bytes(data)


def _left_of(change: Wrote | Truncated, later: Wrote | Truncated) -> list[Wrote | Truncated]:
    """Return what of an uncertain change can still be seen after a later one that is durable."""
    if isinstance(change, Truncated):
        return [change]
    start, stop = change.offset, change.offset + len(change.data)
    if isinstance(later, Truncated):
        return [] if start >= later.size else [change]
    kept = [(start, min(stop, later.offset)), (max(start, later.offset + len(later.data)), stop)]
    return [Wrote(change.inode, at, change.data[at - start : end - start]) for at, end in kept if at < end]


def _name(files: dict[str, Inode], change: Named) -> None:
    if change.old:
        files.pop(change.old, None)
    if change.inode is None:
        files.pop(change.name, None)
    else:
        files[change.name] = change.inode


def _cut(change: Wrote | Truncated) -> Iterator[Wrote | Truncated]:
    """Split a change into sectors."""
    if isinstance(change, Truncated):
        yield change
        return
    start = change.offset
    stop = start + len(change.data)
    while start < stop:
        end = min(stop, (start // SECTOR + 1) * SECTOR)
        yield Wrote(change.inode, start, change.data[start - change.offset : end - change.offset])
        start = end


def _choices(count: int, random: Random) -> Iterator[tuple[bool, ...]]:
    if count <= _EXHAUSTIVE:
        yield from product((False, True), repeat=count)
        return
    yield (False,) * count
    yield (True,) * count
    for odd in random.sample(range(count), min(count, _SOME)):
        yield tuple(number == odd for number in range(count))
        yield tuple(number != odd for number in range(count))
    for _ in range(_SOME):
        share = random.random()
        yield tuple(random.random() < share for _ in range(count))
