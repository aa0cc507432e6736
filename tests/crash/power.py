"""A disk in memory that records all operations, and can compute what a power cut at any moment would have left.

A cut leaves everything that was synced.  Of the rest it leaves any subset, in any order.  Each sector of 512 bytes of a
file is kept or lost separately; lost ones read as zeros, and the file has its new size or a smaller one.  Each change
of a folder's names is kept or lost separately, except that a moved file is never lost from both places.  The writes of
a failed sync may be lost for good, though they can be read until the cut.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import PurePosixPath
from random import Random
from typing import Any, TypeAlias

import attrs
from zope.interface import implementer

from storaged.system.interfaces import IFile, IFilesystem
from storaged.system.volume import Volume
from tests.tally import EFFORT

SECTOR = 512
_EXHAUSTIVE = 5
_SOME = 10 * EFFORT

Image: TypeAlias = dict[str, dict[str, bytes]]
"""The contents of each folder: the bytes of its files, by name."""


class Inode:
    """A file, independent of its names."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)


@attrs.frozen(eq=False)
class Wrote:
    inode: Inode
    offset: int
    data: bytes


@attrs.frozen(eq=False)
class Truncated:
    inode: Inode
    size: int


@attrs.frozen(eq=False)
class Synced:
    inode: Inode
    good: bool


@attrs.frozen(eq=False)
class Named:
    """A name was given to a file, or, if `inode` is None, removed.

    :param needs: if this removes the old name of a moved file: the event of its new name, without which the old one
        stays.
    :param old: if a file was moved within a folder: its old name.
    """

    folder: str
    name: str
    inode: Inode | None
    needs: Named | None = None
    old: str = ""


@attrs.frozen(eq=False)
class FolderSynced:
    folder: str


@attrs.frozen(eq=False)
class FolderMade:
    folder: str


@attrs.frozen(eq=False)
class Note:
    """A note by a test at this moment."""

    result: Any


Event: TypeAlias = Wrote | Truncated | Synced | Named | FolderSynced | FolderMade | Note


@implementer(IFile)
class _File:
    def __init__(self, disk: PowerDisk, inode: Inode) -> None:
        self._disk = disk
        self._inode = inode

    def write(self, pieces: Iterable[bytes]) -> None:
        self._write(None, b"".join(pieces))

    def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
        self._write(offset, b"".join(pieces))

    def _write(self, offset: int | None, data: bytes) -> None:
        with self._disk.calling("write") as fault:
            present = self._inode.data
            start = len(present) if offset is None else offset
            if fault == errno.ENOSPC:
                data = data[: len(data) // 2]
            if fault != errno.EIO and data:
                change = Wrote(self._inode, start, data)
                self._disk.log.append(change)
                _change(present, change)

    def read_at(self, offset: int, count: int) -> bytes:
        with self._disk.lock:
            return bytes(self._inode.data[offset : offset + count])

    def read_cached(self, offset: int, count: int) -> bytes | None:
        return self.read_at(offset, count)

    def sync(self) -> None:
        with self._disk.calling("sync") as fault:
            self._disk.log.append(Synced(self._inode, not fault))

    def start_sync(self) -> None:
        pass

    def uncache(self, offset: int, count: int) -> None:
        pass

    def truncate(self, size: int) -> None:
        with self._disk.calling("truncate") as fault:
            if not fault:
                self._disk.log.append(Truncated(self._inode, size))
                del self._inode.data[size:]

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        pass

    @property
    def size(self) -> int:
        return len(self._inode.data)

    @property
    def modified_ms(self) -> int:
        return 0


class _Calling:
    """One call: it holds the disk's lock, is counted, and fails if the test wants it to."""

    def __init__(self, disk: PowerDisk, call: str) -> None:
        self._disk = disk
        self._call = call
        self._fault: int | None = None

    def __enter__(self) -> int | None:
        self._disk.lock.acquire()
        self._fault = self._disk.fault(self._disk.calls, self._call)
        self._disk.calls += 1
        return self._fault

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._disk.lock.release()
        if self._fault and kind is None:
            raise OSError(self._fault, os.strerror(self._fault))


@implementer(IFilesystem)
class PowerDisk:
    """The disk.

    :param image: its contents at first.
    :ivar log: all operations, in order.
    :ivar fault: returns how a call, given by its number and name, must fail: an error number, or None if it must
        succeed.
    :ivar calls: how many calls that change something were made.
    """

    def __init__(self, image: Image | None = None) -> None:
        self.folders = {
            path: {name: Inode(data) for name, data in files.items()} for path, files in (image or {}).items()
        }
        self.log: list[Event] = []
        self.lock = threading.Lock()
        self.fault: Callable[[int, str], int | None] = lambda _, __: None
        self.calls = 0

    def calling(self, call: str) -> _Calling:
        return _Calling(self, call)

    def note(self, result: Any) -> None:
        with self.lock:
            self.log.append(Note(result))

    def _find(self, path: str) -> tuple[dict[str, Inode], str, str]:
        place = PurePosixPath(path)
        files = self.folders.get(str(place.parent))
        if files is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return files, str(place.parent), place.name

    def open(self, path: str, mode: str) -> IFile:
        if mode != "read":
            return self._open_to_write(path, mode)
        with self.lock:
            files, _, name = self._find(path)
            if name not in files:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            return _File(self, files[name])

    def _open_to_write(self, path: str, mode: str) -> IFile:
        with self.calling(f"open-{mode}") as fault:
            files, folder, name = self._find(path)
            if name in files and mode == "create":
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
            if name not in files and mode != "update" and not fault:
                files[name] = Inode()
                self.log.append(Named(folder, name, files[name]))
            inode = files.get(name)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return _File(self, inode)

    def rename(self, source: str, target: str) -> None:
        with self.calling("rename") as fault:
            files, folder, name = self._find(source)
            others, other_folder, new_name = self._find(target)
            if name not in files:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
            if fault:
                return
            inode = others[new_name] = files.pop(name)
            if folder == other_folder:
                self.log.append(Named(folder, new_name, inode, old=name))
            else:
                new = Named(other_folder, new_name, inode)
                self.log += [new, Named(folder, name, None, needs=new)]

    def remove(self, path: str) -> None:
        with self.calling("remove") as fault:
            files, folder, name = self._find(path)
            if name not in files:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            if not fault:
                del files[name]
                self.log.append(Named(folder, name, None))

    def sync_folder(self, path: str) -> None:
        with self.calling("sync_folder") as fault:
            if path not in self.folders:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            if not fault:
                self.log.append(FolderSynced(path))

    def make_folder(self, path: str) -> None:
        with self.lock:
            for folder in (path, *map(str, PurePosixPath(path).parents)):
                if folder not in self.folders:
                    self.folders[folder] = {}
                    self.log.append(FolderMade(folder))

    def scan(self, path: str) -> list[tuple[str, int, int]]:
        with self.lock:
            if path not in self.folders:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            return [(name, len(inode.data), 0) for name, inode in self.folders[path].items()]

    def volume(self, _: str) -> Volume:
        return Volume(2**40, 2**40)


def visible(disk: PowerDisk) -> Image:
    """Return what a restarted process sees if the power was not cut."""
    return {
        folder: {name: bytes(inode.data) for name, inode in files.items()} for folder, files in disk.folders.items()
    }


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
            file = self._file(event.inode)
            if event.good:
                for change in file.pending:
                    _change(file.data, change)
                    file.uncertain = [left for each in file.uncertain for left in _left_of(each, change)]
            else:
                file.uncertain += file.pending
            file.pending = []
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
                _name(self._names[change.needs.folder], change.needs)
            _name(self._names[folder], change)

    def images(self, random: Random) -> Iterator[Image]:
        """Yield what a cut now could leave: all possibilities if they are few; otherwise none of the pending changes,
        all of them, and some subsets.
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
        for chosen in _choices(len(atoms), random):
            kept = {id(atom) for atom, keep in zip(atoms, chosen, strict=True) if keep}
            yield self._image(kept, pieces)

    def durable(self) -> Image:
        """Return what a cut now leaves in any case."""
        return self._image(set(), [])

    def _image(self, kept: set[int], pieces: list[Wrote | Truncated]) -> Image:
        content: dict[Inode, bytes] = {}
        image: Image = {}
        for folder, durable in self._names.items():
            files = dict(durable)
            for change in self._pending_names[folder]:
                if id(change) in kept and not self._is_held(change, kept):
                    _name(files, change)
            image[folder] = {}
            for name, inode in files.items():
                if inode not in content:
                    content[inode] = self._content(inode, kept, pieces)
                image[folder][name] = content[inode]
        return image

    def _is_held(self, change: Named, kept: set[int]) -> bool:
        """Return whether an old name must stay, because the file's new name is not there yet."""
        needs = change.needs
        return needs is not None and needs in self._pending_names[needs.folder] and id(needs) not in kept

    def _content(self, inode: Inode, kept: set[int], pieces: list[Wrote | Truncated]) -> bytes:
        file = self._file(inode)
        if not (file.pending or file.uncertain):
            return bytes(file.data)
        data = bytearray(file.data)
        for piece in pieces:
            if piece.inode is inode and id(piece) in kept:
                _change(data, piece)
        if id(inode) in kept:
            size = len(file.data)
            for change in (*file.uncertain, *file.pending):
                size = change.size if isinstance(change, Truncated) else max(size, change.offset + len(change.data))
            data += bytes(max(0, size - len(data)))
        return bytes(data)


def _change(data: bytearray, change: Wrote | Truncated) -> None:
    if isinstance(change, Truncated):
        del data[change.size :]
        return
    data += bytes(max(0, change.offset - len(data)))
    data[change.offset : change.offset + len(change.data)] = change.data


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
